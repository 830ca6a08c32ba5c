// The hash that decides which elements dropout keeps, as package asm has it.
#pragma once
#include "device.h"

// dropout_hash is a bijection of 32-bit words, chosen by a key.
DEVICE unsigned dropout_hash(unsigned x, unsigned key) {
  x ^= x >> 16;
  x *= 0x7feb352du;
  x ^= x >> 15;
  x += key;
  x *= 0x846ca68bu;
  x ^= x >> 16;
  x *= 0x9e3779b1u;
  x ^= x >> 15;
  return x;
}

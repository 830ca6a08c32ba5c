#!/bin/bash
# Runs a static linux/amd64 program on an emulated processor with AVX-512 (Bochs),
# for machines that lack it.
#
#   run-avx512.sh BINARY [ARGS...]
#
# Boots a small Linux in memory whose init is BINARY with ARGS; its output goes to
# standard output and its exit status becomes this script's. 124: time ran out;
# 125: the emulator or the emulated system failed. Booting takes 15 to 40 s, then
# it executes 25 to 50 million instructions a second.
#
# The processor has AVX-512 F, CD, BW, DQ and VL. Bochs's richer models emulate
# something wrong that Go's garbage collector uses.
#
# Environment:
#   BOCHS_FILES    directory that is copied to the program's working directory
#   BOCHS_TIMEOUT  real seconds until it is killed (600)
#   BOCHS_MEGS     memory in MB (512)
#   BOCHS_CACHE    where the emulated system's kernel is kept (~/.cache/marge-bochs)
#   MARGE_ISA, GODEBUG, GOMAXPROCS  passed on
#
# Needs the Debian packages bochs bochs-term bochsbios vgabios xorriso cpio. A
# kernel, busybox and isolinux are downloaded from apt and unpacked, not installed.
set -euo pipefail

[ $# -ge 1 ] || { echo "usage: $0 BINARY [ARGS...]" >&2; exit 125; }
binary=$(realpath "$1")
shift
cache=${BOCHS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/marge-bochs}
khz=200000 # emulated clock: this many thousand instructions are one second

fetch_system() {
  local dir kernel
  mkdir -p "$(dirname "$cache")"
  dir=$(mktemp -d "$cache.XXXXXX")
  (
    cd "$dir"
    kernel=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image-/ && !n++ {print $2}')
    [ -n "$kernel" ] || { echo "run-avx512: apt knows no linux-image-cloud-amd64" >&2; exit 125; }
    apt-get -q download "$kernel" busybox-static isolinux syslinux-common >&2
    for deb in *.deb; do dpkg -x "$deb" x; done
    cp x/boot/vmlinuz-* vmlinuz
    cp x/bin/busybox x/usr/lib/ISOLINUX/isolinux.bin x/usr/lib/syslinux/modules/bios/ldlinux.c32 .
    rm -rf x ./*.deb
  ) || { rm -rf "$dir"; exit 125; }
  # Another run may have been faster; either copy will do.
  mv -T "$dir" "$cache" 2>/dev/null || rm -rf "$dir"
}
[ -d "$cache" ] || fetch_system

work=$(mktemp -d "${TMPDIR:-/tmp}/bochs.XXXXXX")
children=()
cleanup() {
  for child in "${children[@]}"; do kill -KILL "$child" 2>/dev/null || :; done
  wait 2>/dev/null || :
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# The disk: boot loader, kernel, and an initial file system with the program.
root=$work/root
mkdir -p "$work/iso" "$root"/{bin,proc,sys,dev,tmp,guest}
cp "$cache"/{vmlinuz,isolinux.bin,ldlinux.c32} "$work/iso/"
cp "$cache/busybox" "$root/bin/"
cp "$binary" "$root/bin/program"
chmod 755 "$root/bin/program"
[ -z "${BOCHS_FILES:-}" ] || cp -a "$BOCHS_FILES/." "$root/guest/"
exports="HOME=/tmp PATH=/bin"
for name in MARGE_ISA GODEBUG GOMAXPROCS; do
  [ -z "${!name:-}" ] || exports+=" $name=$(printf %q "${!name}")"
done
arguments=
for argument in "$@"; do arguments+=" '${argument//\'/\'\\\'\'}'"; done
cat > "$root/init" <<INIT
#!/bin/busybox sh
b=/bin/busybox
\$b mount -t devtmpfs d /dev; \$b mount -t proc p /proc; \$b mount -t sysfs s /sys; \$b mount -t tmpfs t /tmp
\$b stty -F /dev/ttyS0 raw -echo
cd /guest; export $exports
/bin/program$arguments >/dev/ttyS0 2>&1 </dev/null
\$b printf '\nEXIT:%d\n' \$? >/dev/ttyS1
while :; do \$b sleep 1000; done
INIT
chmod 755 "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet) > "$work/iso/initrd"
cat > "$work/iso/isolinux.cfg" <<CFG
DEFAULT l
PROMPT 0
LABEL l
KERNEL /vmlinuz
INITRD /initrd
APPEND console=ttyS1 quiet loglevel=1 nokaslr mitigations=off nopti no_timer_check tsc=reliable tsc_early_khz=$khz lpj=$((khz * 4)) random.trust_cpu=on init_on_alloc=0 clearcpuid=321,323 cryptomgr.notests panic=0
CFG
xorriso -as mkisofs -quiet -o "$work/disk.iso" -b isolinux.bin -c boot.cat -no-emul-boot \
  -boot-load-size 4 -boot-info-table "$work/iso" 2>"$work/xorriso" || { cat "$work/xorriso" >&2; exit 125; }

# Debian's Bochs starts in its debugger, where "c" means continue.
echo c > "$work/debugger"
cat > "$work/bochsrc" <<RC
display_library: term
config_interface: textconfig
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/vgabios/vgabios.bin
megs: ${BOCHS_MEGS:-512}
cpu: model=corei7_skylake_x, count=1, ips=${khz}000
clock: sync=none
ata0-master: type=cdrom, path=$work/disk.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=$work/out
com2: enabled=1, mode=file, dev=$work/console
log: $work/log
panic: action=fatal
error: action=ignore
info: action=ignore
debug: action=ignore
speaker: enabled=0
RC
: > "$work/out"
: > "$work/console"
# Bochs's wrapper is replaced by Bochs itself, so that $! is the emulator.
TERM=vt100 bochs -f "$work/bochsrc" -rc "$work/debugger" </dev/null >"$work/screen" 2>&1 &
bochs=$!
tail -c +1 -s 0.2 -f "$work/out" --pid=$bochs &
children=("$bochs" $!)

end=$((SECONDS + ${BOCHS_TIMEOUT:-600}))
while :; do
  status=$(sed -n 's/^EXIT:\([0-9]*\).*/\1/p' "$work/console" | head -n 1)
  [ -z "$status" ] || break
  if grep -q 'Kernel panic' "$work/console" || ! kill -0 "$bochs" 2>/dev/null; then
    status=125
    break
  fi
  if [ $SECONDS -ge $end ]; then
    echo "run-avx512: stopped after ${BOCHS_TIMEOUT:-600} s" >&2
    status=124
    break
  fi
  sleep 0.2
done
sleep 0.5 # for tail to print the rest
if [ "$status" -eq 125 ]; then
  echo "run-avx512: the emulator or the emulated system failed:" >&2
  tail -n 15 "$work/console" "$work/log" >&2
fi
exit "$status"

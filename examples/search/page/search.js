"use strict";

const form = document.getElementById("form");
const fields = form.elements;
const state = document.getElementById("status");
const list = document.getElementById("hits");
let latest = 0; // number of the last search: answers of earlier ones do not count

function show(text, failed) {
  state.textContent = text;
  state.className = failed ? "error" : "";
}

// Texts are set as text, never as HTML.
function element(name, text, className) {
  const e = document.createElement(name);
  e.textContent = text;
  if (className) e.className = className;
  return e;
}

function item(hit) {
  const li = document.createElement("li");
  let about = `${hit.id}, characters ${hit.start} to ${hit.end}; ${hit.lang}; relevance ${hit.score.toFixed(3)}`;
  if (hit.loss !== undefined) about += `; loss ${hit.loss.toFixed(3)}`;
  const text = element("blockquote", hit.text);
  text.lang = hit.lang;
  text.dir = "auto";
  li.append(element("p", about, "about"), text);
  return li;
}

async function search() {
  const number = ++latest;
  const query = { query: fields.q.value, lang: fields.lang.value, k: Number(fields.k.value), rerank: fields.rerank.checked };
  show("Searching …");
  list.replaceChildren();
  try {
    const response = await fetch("search", { method: "POST", body: JSON.stringify(query) });
    const answer = await response.json();
    if (number !== latest) return;
    if (!response.ok) throw new Error(answer.error.message);
    list.append(...answer.hits.map(item));
    show(answer.hits.length === 1 ? "1 passage" : `${answer.hits.length} passages`);
  } catch (e) {
    if (number === latest) show(`The search failed: ${e.message}`, true);
  }
}

// The address has the search, so that it can be kept and reloaded.
function address() {
  const parameters = new URLSearchParams(new FormData(form));
  for (const [name, value] of [...parameters]) if (value === "") parameters.delete(name);
  return "?" + parameters;
}

function fromAddress() {
  const parameters = new URLSearchParams(location.search);
  fields.q.value = parameters.get("q") || "";
  fields.lang.value = parameters.get("lang") || "";
  fields.k.value = parameters.get("k") || 10;
  fields.rerank.checked = parameters.has("rerank");
  if (fields.q.value !== "") search();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  history.pushState(null, "", address());
  search();
});
fields.q.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  form.requestSubmit();
});
addEventListener("popstate", fromAddress);

fetch("healthz").then((response) => response.json()).then((health) => {
  for (const lang of health.languages || []) fields.lang.append(element("option", lang));
}).catch(() => {}).finally(fromAddress); // without the list, any language is searched

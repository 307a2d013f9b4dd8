"use strict";

const $ = (id) => document.getElementById(id);
const session = location.pathname.split("/").pop();
let token = null;
let found = null; // the package, as the server told it
let opened = new Map(); // a document's id to the blob URL of the bytes that were shown
let kept = { text: null, key: null };
let strokes = 0; // of the signature that is drawn

/** A problem that the server told, or status 0 when it did not answer. */
class Problem extends Error {
  constructor(status, document) {
    super(document.detail || "");
    Object.assign(this, { status, document });
  }
}

// Addresses are relative to the page's, so a path before /sign/ does no harm.
async function call(path, body, key) {
  const headers = { "X-Signing-Session-Token": token };
  if (body) headers["Content-Type"] = "application/json";
  if (key) headers["Idempotency-Key"] = key;
  let answer;
  try {
    answer = await fetch(new URL(path, location.href), {
      method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), credentials: "omit", cache: "no-store",
    });
    if (answer.ok) return answer.headers.get("Content-Type") === "application/pdf" ? await answer.blob() : await answer.json();
  } catch {
    throw new Problem(0, {});
  }
  throw new Problem(answer.status, await answer.json().catch(() => ({})));
}

/** One key for one text: a double click, or a repeat after a lost answer, acts once. */
function keyFor(text) {
  if (kept.text !== text) {
    // Not randomUUID, which browsers offer on https alone.
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    kept = { text, key: Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("") };
  }
  return kept.key;
}

function show(id, title) {
  for (const each of ["loading", "notice", "ready"]) $(each).hidden = each !== id;
  if (!title) return;
  const heading = $(id).querySelector("h1");
  heading.textContent = document.title = title;
  heading.focus();
}

function notice(title, text, { again = false, receipt = null } = {}) {
  if ($("declining").open) $("declining").close();
  $("notice").querySelector(".text").textContent = text;
  $("again").hidden = !again;
  $("receipt").hidden = $("keep").hidden = !receipt;
  $("receipt").textContent = receipt;
  $("copies").replaceChildren();
  if (receipt) $("keep").href = URL.createObjectURL(new Blob([receipt + "\n"], { type: "text/plain;charset=utf-8" }));
  show("notice", title);
}

// The token stays in this tab, so that a reload finds it; the address bar loses it at once.
function takeToken() {
  const name = `token ${session}`;
  const linked = new URLSearchParams(location.hash.slice(1)).get("token");
  if (location.hash) history.replaceState(null, "", location.pathname + location.search);
  try {
    if (linked) sessionStorage.setItem(name, linked);
    return linked || sessionStorage.getItem(name);
  } catch {
    return linked;
  }
}

function failed(problem) {
  const { status, document } = problem;
  if (status === 403 || status === 404) {
    notice("This link does not work", "It is incomplete, or a newer invitation has replaced it. Open the link in the newest mail. If there is none, ask the sender to send the invitation again.");
  } else if (status === 410) {
    notice("This link has expired", "Ask the sender to send the invitation again. You then get a mail with a new link.");
  } else if (document.current_state === "pending" || document.code === "not-invited") {
    notice("It is not your turn yet", "Others sign before you. You get a mail when it is your turn.");
  } else {
    notice("The server cannot be reached", "Nothing is lost. Wait a moment, then try again.", { again: true });
  }
}

const ENDS = {
  declined: ["You have declined to sign", (sender) => `If that was a mistake, ask ${sender} for a new invitation.`],
  cancelled: ["There is nothing to sign any more", (sender) => `The documents were withdrawn, or somebody else declined to sign them. Ask ${sender} if you have questions.`],
  expired: ["The time to sign is over", (sender) => `If you still want to sign, ask ${sender} for a new invitation.`],
  failed: ["You can no longer sign", (sender) => `Too many attempts failed. Ask ${sender} for a new invitation.`],
};

async function load() {
  token = takeToken();
  if (!token) {
    return notice("This link is incomplete", "Open the whole link from your invitation; it ends in “#token=” and a code. If that does not help, ask the sender to send the invitation again.");
  }
  show("loading");
  try {
    found = await call(`${session}/package`);
  } catch (problem) {
    return failed(problem);
  }
  if (found.status === "open") return ready();
  if (found.status === "completed") return signed(found.head);
  const [title, text] = ENDS[found.status];
  notice(title, text(found.sender));
}

const quoted = ({ title, sha256 }, otherwise) => (title ? `“${title}”` : `${otherwise}with the SHA-256 ${sha256}`);

function statement() {
  const all = found.documents;
  let which = `the document ${quoted(all[0], "")}`;
  if (all.length > 1) {
    which = `the ${all.length} documents ${all.map((each) => quoted(each, "one ")).join(", ")}`;
    if (which.length > 1400) which = `the ${all.length} documents of the process ${found.processId}`;
  }
  const [them, name] = [all.length > 1 ? "them" : "it", $("name").value.trim() || "…"];
  return `I, ${name}, have read ${which} and agree to ${them}. By giving my name${$("drawn").checked ? ", drawing my signature" : ""} and pressing “Sign” I sign ${them} electronically.`;
}

function ready() {
  const count = found.documents.length;
  $("test").hidden = !found.test;
  $("about").textContent = found.deadline ? `Please sign before ${new Date(found.deadline).toLocaleString([], { dateStyle: "long", timeStyle: "short" })}, your time.` : "";
  $("words").textContent = [found.subject, found.message].filter(Boolean).join("\n\n");
  $("words").hidden = !$("words").textContent;
  $("documents").replaceChildren(...found.documents.map(card));
  $("name").value = found.participant || "";
  $("fields").replaceChildren(...found.fields.filter(asked).map(question));
  $("filling").hidden = !$("fields").children.length;
  $("last").textContent = $("filling").hidden ? "2. Sign" : "3. Sign";
  const automatic = found.fields.filter((each) => !asked(each)).map((each) => `${AUTOMATIC[each.type]} on page ${each.page}${of(each)}`);
  $("automatic").textContent = automatic.length ? `Put in for you when you sign: ${automatic.join("; ")}.` : "";
  $("unprintable").hidden = found.printable;
  $(found.printable ? "typed" : "drawn").checked = true;
  clear();
  rewrite();
  $("fault").textContent = "";
  show("ready", `${found.sender} asks you to sign ${count === 1 ? "a document" : `${count} documents`}`);
}

// What follows from who signs, and when.
const AUTOMATIC = { SIGNATURE: "your signature", INITIALS: "your initials", NAME: "your name", EMAIL: "your e-mail address" };
const asked = (field) => !(field.type in AUTOMATIC);

/** Of which document, where there are several. */
function of(field) {
  const index = found.documents.findIndex((each) => each.id === field.document);
  return found.documents.length > 1 ? ` of ${found.documents[index].title || `document ${index + 1}`}` : "";
}

/** A field to be filled in, with its label. */
function question(field, index) {
  const box = document.createElement("div"), label = document.createElement("label"), hint = document.createElement("p");
  const long = field.type === "TEXT" && field.lines;
  const input = Object.assign(document.createElement(long ? "textarea" : "input"), { id: `field-${index}`, required: field.required && field.type !== "DATE" });
  if (!long) input.type = { TEXT: "text", DATE: "date", CHECKBOX: "checkbox" }[field.type];
  const more = { TEXT: `, room for about ${field.letters} letters`, DATE: "; the day on which you sign if you leave it empty", CHECKBOX: "" }[field.type];
  Object.assign(hint, { id: `field-${index}-about`, className: "soft hint", textContent: `Page ${field.page}${of(field)}${input.required ? ", required" : ""}${more}` });
  input.setAttribute("aria-describedby", hint.id);
  input.dataset.label = field.label;
  label.htmlFor = input.id;
  if (field.type === "CHECKBOX") {
    label.className = "check";
    label.append(input, Object.assign(document.createElement("span"), { textContent: field.label }));
    box.append(label, hint);
  } else {
    label.textContent = field.label;
    box.append(label, input, hint);
  }
  return box;
}

/** The values by their fields' labels; what is empty was not given. */
function values() {
  const inputs = [...$("fields").querySelectorAll("input, textarea")];
  const given = inputs.map((each) => [each.dataset.label, each.type === "checkbox" ? each.checked : each.value]);
  return Object.fromEntries(given.filter(([, value]) => value !== ""));
}

function rewrite() {
  $("statement").textContent = statement();
  $("written").textContent = `/s/ ${$("name").value.trim() || "…"}`;
  $("pad").hidden = !$("drawn").checked;
}

function clear() {
  strokes = 0;
  $("canvas").getContext("2d").clearRect(0, 0, $("canvas").width, $("canvas").height);
}

/** Where on the canvas a pointer is, in the canvas's own points. */
function place(event) {
  const frame = $("canvas").getBoundingClientRect(), scale = $("canvas").width / frame.width;
  return [(event.clientX - frame.left) * scale, (event.clientY - frame.top) * scale];
}

function draw(event) {
  const pen = $("canvas").getContext("2d");
  if (event.type === "pointerdown") {
    $("fault").textContent = "";
    $("canvas").setPointerCapture(event.pointerId);
    Object.assign(pen, { lineWidth: 7, lineCap: "round", lineJoin: "round", strokeStyle: "#101c4d" });
    pen.beginPath();
    pen.moveTo(...place(event));
  } else if (!$("canvas").hasPointerCapture(event.pointerId)) return;
  event.preventDefault();
  // Slow browsers tell of several moves at once.
  const moves = event.getCoalescedEvents?.() || [];
  for (const each of moves.length ? moves : [event]) pen.lineTo(...place(each));
  pen.stroke();
  strokes += 1;
}

/** A document with its buttons; the PDF is fetched when it is asked for, since that is recorded. */
function card(each, index) {
  const box = $("document").content.cloneNode(true).firstElementChild;
  const [button, tab, save] = box.querySelectorAll("button, a");
  const title = each.title || `Document ${index + 1}`;
  box.querySelector("h3").textContent = title;
  box.querySelector(".soft").textContent = `${each.pages} ${each.pages === 1 ? "page" : "pages"}. SHA-256 of the file: ${each.sha256}`;
  button.dataset.document = each.id;
  button.setAttribute("aria-label", `Open ${title}`);
  button.onclick = async () => {
    const fault = box.querySelector(".bad");
    button.disabled = true;
    fault.textContent = $("fault").textContent = "";
    try {
      const url = opened.get(each.id) || URL.createObjectURL(await call(`${session}/documents/${each.id}`));
      opened.set(each.id, url);
      Object.assign(save, { href: url, download: `${title.replace(/[\\/:*?"<>|]/g, "_")}.pdf`, hidden: false });
      Object.assign(tab, { href: url, hidden: false });
      button.hidden = true;
      // Where the browser shows no PDF within a page, as on many phones, the two links are the way to read it.
      if (navigator.pdfViewerEnabled !== false) box.append(Object.assign(document.createElement("iframe"), { src: `${url}#navpanes=0`, title }));
      tab.focus();
    } catch (problem) {
      if (problem.status && problem.status < 500 && problem.status !== 429) return problem.status === 409 ? load() : failed(problem);
      fault.textContent = problem.document.code?.startsWith("file-") ? problem.message : "The server cannot be reached. Please try again.";
    } finally {
      button.disabled = false;
    }
  };
  return box;
}

function signed(head, said) {
  const documents = found.documents.map((each) => `  ${each.title || "document"}\n  SHA-256 ${each.sha256}`).join("\n");
  const receipt = [
    "Receipt of an electronic signature", "",
    `For: ${found.sender}`, ...(found.test ? ["A test, without effect"] : []), `Signed:\n${documents}`, ...(said ? [`Statement: ${said}`] : []), "",
    `Process: ${found.processId}`, `Time:    ${head.recordedAt} (UTC)`, `Version: ${head.version}`, `Hash:    ${head.hash}`,
  ].join("\n");
  notice("You have signed", "Please keep this receipt. A record that is changed afterwards no longer leads to this hash.", { receipt });
  $("copies").replaceChildren(...found.documents.map(card));
}

function transient({ status, document }) {
  return status === 0 || status === 429 || status >= 500 || document.code === "state_optimistic_lock_conflict" || document.code === "conflict";
}

$("sign").onsubmit = async (event) => {
  event.preventDefault();
  const unread = found.documents.filter((each) => !opened.has(each.id));
  if (unread.length) {
    $("fault").textContent = unread.length === 1 && found.documents.length === 1 ? "Please open the document before you sign it." : "Please open every document before you sign.";
    return document.querySelector(`[data-document="${unread[0].id}"]`).focus();
  }
  if ($("drawn").checked && !strokes) {
    $("fault").textContent = "Please draw your signature, or choose to write it.";
    return $("canvas").scrollIntoView({ block: "center" });
  }
  const text = statement(), fields = values();
  const body = { electronic_signature_text: text };
  if (Object.keys(fields).length) body.fields = fields;
  if ($("drawn").checked) body.signature_blob = $("canvas").toDataURL("image/png");
  $("submit").disabled = $("refuse").disabled = true;
  $("fault").textContent = "";
  try {
    const answer = await call(`../v1/signing_sessions/${session}/complete`, body, keyFor(`sign ${JSON.stringify(body)}`));
    const { version, hash, recorded_at: recordedAt } = answer.acknowledgement.head;
    signed({ version, hash, recordedAt }, text);
  } catch (problem) {
    if (transient(problem)) $("fault").textContent = "The server cannot be reached. Press “Sign” again in a moment: it counts once.";
    else if (problem.status === 409 && problem.document.current_state !== "pending") load();
    else if (problem.status === 422) $("fault").textContent = problem.message;
    else failed(problem);
  } finally {
    $("submit").disabled = $("refuse").disabled = false;
  }
};

$("declining").querySelector("form").onsubmit = async (event) => {
  event.preventDefault();
  const reason = $("reason").value.trim() || null;
  $("decline").disabled = true;
  $("decline-fault").textContent = "";
  try {
    await call(`${session}/decline`, { reason }, keyFor(`decline ${reason}`));
    $("declining").close();
    load();
  } catch (problem) {
    if (transient(problem)) $("decline-fault").textContent = "The server cannot be reached. Try again in a moment: it counts once.";
    else if (problem.status === 409) { $("declining").close(); load(); }
    else failed(problem);
  } finally {
    $("decline").disabled = false;
  }
};

$("name").oninput = $("typed").onchange = $("drawn").onchange = rewrite;
$("canvas").onpointerdown = $("canvas").onpointermove = draw;
$("clear").onclick = clear;
$("refuse").onclick = () => $("declining").showModal();
$("stay").onclick = () => $("declining").close();
$("again").onclick = load;
window.onhashchange = () => { if (location.hash) load(); }; // a newer link, pasted into the same tab
load();

// Verifies a file: hashes it here, sends it to the ledger, and says what the ledger found in plain words.
"use strict";

// Bytes; the ledger takes no larger file.
const MOST_BYTES = 32 * 1024 * 1024;

const byId = (id) => document.getElementById(id);

const CHECKS = {
  file: "The file", body: "What was sealed", "seal-form": "Form of the seal", "seal-integrity": "Unchanged since it was sealed",
  "seal-coverage": "Nothing left uncovered", "seal-changes": "Nothing added after the seal", "seal-signer": "Who sealed it",
  "seal-time": "Time of the seal", "seal-archive": "Times over the whole file", certificate: "Certificate of the seal",
  signatures: "Signatures", checkpoint: "Signature of the log", inclusion: "Entries stand in the log",
  chain: "Entries follow each other", history: "What the entries tell",
};
const VERDICTS = { valid: "Holds", invalid: "Does not hold", indeterminate: "Not known" };
const KINDS = { executed: "Executed document", certificate: "Certificate of completion" };

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

// Where there is no secure connection, browsers do not hash; then what the server says of the hash is all there is.
async function hashOf(bytes) {
  if (!window.crypto || !window.crypto.subtle) return null;
  const digest = new Uint8Array(await window.crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function envelopeOfAddress() {
  return decodeURIComponent(location.pathname.replace(/^\/verify\/?/, "").replace(/\/$/, ""));
}

function sentence(found) {
  const test = found.mode === "test" ? " It was made as a test and has no effect." : "";
  if (found.verdict === "valid") {
    const superseded = found.supersededBy ? " A later form of it, with a newer time stamp, exists." : "";
    return found.kind === "certificate"
      ? ["This is the certificate of completion", `It is the one that this ledger issued, byte for byte.${superseded}${test}`]
      : ["This is the executed document", `It is the one that was executed in this ledger, byte for byte.${superseded}${test}`];
  }
  if (found.kind === "original") {
    return ["This is not an executed document", "It is a document as it was before anybody signed it."];
  }
  if (found.kind === "body") return ["This file is not whole", "Its seal was taken away."];
  if (!found.kind) {
    const altered = found.findings.some((each) => each.check !== "file" && each.verdict === "invalid");
    return ["This is not a file of this ledger", altered || found.seal
      ? "The ledger names no such file. It was altered, or it was never of this ledger."
      : "The ledger names no such file."];
  }
  return found.verdict === "invalid"
    ? ["Do not rely on this file", "The ledger names it, but something about it does not hold; see below."]
    : ["Not everything could be established", "The ledger names this file and nothing speaks against it; see below what is not known."];
}

function facts(found, hash) {
  const rows = [["SHA-256", found.sha256 + (hash ? " (the same, computed in your browser)" : "")]];
  if (found.envelopeId) {
    const place = found.document ? `, document ${found.document}` : "";
    rows.push(["What it is", (KINDS[found.kind] || "Part of an executed file") + place], ["Envelope", found.envelopeId]);
    rows.push(["Recorded", `${found.at}, at position ${found.position} of the log`]);
  }
  for (const each of found.processes) rows.push(["Signed", `${each.at}, process ${each.processId}`]);
  if (found.seal) {
    if (found.seal.profile) rows.push(["Seal", `PAdES ${found.seal.profile}`]);
    if (found.seal.stampedAt) rows.push(["Trusted time", found.seal.stampedAt]);
  }
  rows.push(["Ledger", found.ledger]);
  return rows.flatMap(([name, value]) => [element("dt", name), element("dd", value)]);
}

function row(finding) {
  const made = document.createElement("tr");
  const reached = finding.reason !== "not reached";
  made.className = reached ? finding.verdict : "";
  const cell = element("td", finding.reason);
  if (finding.details.length && finding.check === "signatures") {
    const list = document.createElement("ul");
    list.append(...finding.details.map((each) => element("li", each.text)));
    cell.append(list);
  }
  made.append(element("th", CHECKS[finding.check] || finding.check), element("td", reached ? VERDICTS[finding.verdict] : "-"), cell);
  return made;
}

function show(found, hash) {
  let [title, text] = sentence(found);
  let verdict = found.verdict;
  const wanted = envelopeOfAddress().toLowerCase();
  if (hash && hash !== found.sha256) {
    [title, text, verdict] = ["Something went wrong on the way", "What arrived is not the file that you chose; try again.", "invalid"];
  } else if (found.envelopeId && wanted && wanted !== found.envelopeId) {
    text += " But it is of another envelope than the link that you followed.";
    verdict = verdict === "valid" ? "indeterminate" : verdict;
  }
  byId("answer").className = verdict;
  byId("answer").querySelector("h2").textContent = title;
  byId("answer").querySelector("p").textContent = text;
  byId("facts").replaceChildren(...facts(found, hash === found.sha256 ? hash : null));
  byId("findings").replaceChildren(...found.findings.map(row));
  byId("absent").hidden = !found.absent.length;
  byId("absent").querySelector("ul").replaceChildren(...found.absent.map((each) => element("li", each)));
  byId("result").hidden = false;
  byId("answer").querySelector("h2").focus();
}

async function refusal(response) {
  if (response.status === 401) {
    return "This ledger answers only whoever has a credential. Ask the sender for the bundle of evidence, and see below.";
  }
  if (response.status === 429 || response.status === 503) {
    return `The ledger is busy. Try again in ${response.headers.get("Retry-After") || "some"} seconds.`;
  }
  const problem = await response.json().catch(() => null);
  return problem && problem.detail ? problem.detail : `The ledger answered ${response.status}.`;
}

async function verify(file) {
  const state = byId("state");
  byId("result").hidden = true;
  if (file.size > MOST_BYTES) {
    state.textContent = `${file.name} is larger than any file of a ledger.`;
    return;
  }
  state.textContent = `Looking at ${file.name} …`;
  try {
    const bytes = await file.arrayBuffer();
    const hash = await hashOf(bytes);
    if (hash) state.textContent = `SHA-256 of ${file.name}: ${hash}. Asking the ledger …`;
    const response = await fetch("/v1/verifications", {
      method: "POST", headers: { "Content-Type": "application/pdf" }, body: bytes, credentials: "omit", referrerPolicy: "no-referrer",
    });
    if (!response.ok) {
      state.textContent = await refusal(response);
      return;
    }
    show(await response.json(), hash);
    state.textContent = file.name;
  } catch {
    state.textContent = "The ledger could not be reached, or the file could not be read. Try again.";
  }
}

const drop = byId("drop");
byId("form").hidden = false;
byId("file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  event.target.value = "";
  if (file) verify(file);
});
for (const name of ["dragenter", "dragover"]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  const [file] = event.dataTransfer.files;
  if (file) verify(file);
});

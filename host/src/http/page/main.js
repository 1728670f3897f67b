// The page: asks the node, and shows what it said for as long as that can still be so.

import { Node, now } from "./node.js";
import { at, count, element, renew, say, span } from "./text.js";
import { drawRing, lessThanAttested, listEnclaves, listMembers } from "./cluster.js";
import { listElections, listEvents, tally, verdict } from "./elections.js";

const TICK_MS = 100;
/** Looks once more at the very end of the lease, which may fall between two ticks. */
let lastLook = 0;
const CHECKS_APART_MS = 400;
const CHECKED_AGAIN_MS = 10_000;
const CHECKS_DEADLINE_MS = 10_000;
const calm = matchMedia("(prefers-reduced-motion: reduce)");

const node = new Node(() => show());
/** The newest certificate with its checks, and the term and age that they were asked for at. */
let checks = null;
let checked = { term: 0, at: -Infinity, busy: false };
let told = "";

/** The leader, if the lease that the node told of can still run. */
const leader = () => (node.leaseLeft() > 0 ? node.status.leader : null);

function show() {
  const status = node.status;
  showToken();
  showLink();
  if (!status) return;
  const who = leader();
  say(at("cluster"), status.cluster.name || "nitro-elect");
  say(at("speaker"), status.node.name);
  document.title = `${who ? `${who.name} leads` : "no leader"} · ${status.cluster.name}`;
  showWorth(status);
  showLeader(status, who);
  drawRing(status, checks, who?.key);
  listMembers(status, checks, who?.key);
  listEnclaves(status);
  listElections(node, checks);
  listEvents(node);
  wantChecks(status);
}

function showToken() {
  const form = at("token");
  if (node.wantsToken && form.hidden) {
    form.hidden = false;
    at("main").hidden = true;
    at("token-input").focus();
  } else if (!node.wantsToken && !form.hidden && node.status) {
    form.hidden = true;
    at("main").hidden = false;
  }
  if (node.tokenRefused) say(at("token-fault"), "That is not the token of this node.");
}

/** Whether the node answers, in the corner where one looks for it. */
function showLink() {
  const link = at("link");
  const name = node.status?.node.name ?? "the node";
  const stale = node.isStale();
  const state = node.wantsToken ? "waiting" : !node.status && !stale ? "waiting" : stale ? "stale" : "live";
  link.dataset.state = state;
  at("main").dataset.state = state;
  const why = node.fault ? `: ${node.fault}` : "";
  const last = node.status ? `; last answer ${span(node.age())} ago` : "";
  const words = {
    waiting: node.wantsToken ? "a token is needed" : "asking the node",
    stale: `${name} does not answer${last}${why}`,
    live: `live from ${name}`,
  };
  say(at("link-text"), words[state]);
}

/** What all of this is worth, in plain sight. */
function showWorth(status) {
  const all = [status.assurance, ...status.enclaves.map((enclave) => enclave.assurance)];
  const words = [...new Set(all.map(lessThanAttested).filter(Boolean))];
  if (status.cluster.open && !words.includes("OPEN")) words.push("OPEN");
  const told = words.length ? words : status.assurance ? ["ATTESTED"] : [];
  renew(at("worth"), told.join(), () =>
    told.map((word) => element("li", { class: word === "ATTESTED" ? "badge" : "badge less", title: MEANINGS[word] }, word)));
}

const MEANINGS = {
  ATTESTED: "AWS's root vouches for the enclave's measured code",
  SIMULATED: "the enclave is simulated: every check runs, and nothing is attested by AWS",
  DEBUG: "the enclave runs in debug mode: its parent instance can read it",
  OPEN: "anybody who reaches this cluster may vote in it",
};

function showLeader(status, who) {
  const stale = node.isStale();
  const kind = who ? "leads" : stale ? "unknown" : "nobody";
  at("leader").dataset.kind = kind;
  say(at("leader"), { leads: who?.name, unknown: "Unknown", nobody: "No leader" }[kind]);
  say(at("leader-line"), line(status, who, stale));
  showLease(status, who);
  showFacts(status);
  const causes = who || stale ? [] : status.diagnosis;
  at("why").hidden = causes.length === 0;
  at("facts").hidden = causes.length > 0;
  renew(at("causes"), JSON.stringify(causes), () =>
    causes.map((cause) => element("li", {}, element("span", {}, cause.text), element("span", { class: "next" }, cause.next))));
  tell(stale ? `${status.node.name} does not answer` : who ? `${who.name} leads term ${status.term}` : "nobody leads");
}

function line(status, who, stale) {
  if (who) return `leads term ${status.term}, at ${who.address}`;
  if (stale) return `the last lease that this page heard of is over; highest term ${status.term}`;
  return status.term ? `the highest term so far is ${status.term}` : "there was no election yet";
}

const BASES = {
  held: "counted by the leader itself, which is this node",
  promised: "by this node's own promise",
  heard: "heard from others: news, no promise of this node",
};

function showLease(status, who) {
  const left = node.leaseLeft();
  clearTimeout(lastLook);
  if (left > 0) lastLook = setTimeout(() => show(), left);
  const share = Math.min(1, left / status.cluster.lease_ms);
  at("lease-bar").style.transform = `scaleX(${share.toFixed(3)})`;
  at("lease").dataset.state = who ? "runs" : "over";
  const basis = BASES[status.as_of?.basis] ?? "";
  const shown = calm.matches ? `at most ${span(status.cluster.lease_ms)}` : `${(left / 1000).toFixed(1)} s`;
  say(at("lease-text"), who ? `lease ${shown} left` : "no lease");
  at("lease").setAttribute("aria-label", who ? `a lease runs, ${basis}` : "no lease is known");
  at("lease").title = who ? basis : "";
}

function showFacts(status) {
  const { n, f, quorum } = status.cluster;
  const facts = [["Voters", `${n}; ${quorum} elect, ${f} may lie`]];
  if (checks) {
    const { certificate } = checks;
    const { term, leader, reason, coordinator, signers } = certificate;
    facts.push(["Last election", `term ${term}: ${leader.name}, ${reason}; called by ${coordinator.name}; ${signers.length} of ${n} votes`]);
    const elected = node.events.find((event) => event.event === "elected" && event.term === term);
    if (elected) facts.push(["Why it was needed", elected.occasion.text]);
    facts.push(["Its certificate", `${verdict(checks)}; ${tally(checks)}`]);
  }
  if (!status.ready && !node.isStale()) facts.push(["This node", `not ready: ${status.not_ready_because}`]);
  const digits = status.cluster.electorate.slice(0, 16);
  facts.push(["Electorate", `${digits}…`]);
  renew(at("facts"), JSON.stringify(facts), () =>
    facts.flatMap(([name, text]) => [element("dt", {}, name), element("dd", {}, text)]));
}

/** Says it once to those who listen. */
function tell(text) {
  if (text === told) return;
  told = text;
  say(at("news"), text);
}

/** Has the newest certificate verified: when there is a new one, and again while its promises may have become more. */
async function wantChecks(status) {
  const rest = status.term === checked.term ? CHECKED_AGAIN_MS : CHECKS_APART_MS;
  if (status.term === 0 || checked.busy || node.isStale() || now() - checked.at < rest) return;
  checked = { term: checked.term, at: now(), busy: true };
  try {
    checks = await node.json("/v1/checks", CHECKS_DEADLINE_MS);
    checked.term = checks.certificate.term;
  } catch {
    // What was shown stays: it names its term. It is asked for again.
  }
  checked.busy = false;
}

at("token").addEventListener("submit", (event) => {
  event.preventDefault();
  const input = at("token-input");
  node.present(input.value.trim());
  input.value = "";
});

new ResizeObserver(() => node.status && drawRing(node.status, checks, leader()?.key)).observe(at("ring"));
setInterval(() => show(), TICK_MS);
node.start();

// The cluster as people draw it: nodes in a ring, the enclave in the middle, who is heard, who voted, who leads.

import { at, cut, element, head, renew, say, shape, span, digits } from "./text.js";

/** More nodes than this are drawn small, and named in the table alone. */
const NAMED_MAX = 16;

/** The keys of those whose views the newest certificate counted. */
export const voters = (checks) => new Set((checks?.certificate.signers ?? []).map((signer) => signer.key));

/** `SIMULATED` and its like, or nothing where AWS vouches. */
export const lessThanAttested = (assurance) =>
  assurance && assurance !== "attested" ? assurance.toUpperCase() : null;

/** Where a node stands, in a word that needs no colour. */
export function standing(member) {
  if (member.self) return "this node";
  if (member.active) return member.connected ? "alive" : "alive, heard through others";
  return member.silent_ms === null ? "never heard" : `silent for ${span(member.silent_ms)}`;
}

/** Draws the ring into its place, as wide as that is. */
export function drawRing(status, checks, leaderKey) {
  const place = at("ring");
  const width = Math.max(280, Math.min(place.clientWidth || 480, 560));
  const voted = voters(checks);
  const members = status.members;
  const drawn = members.map((member) => [member.name, member.key, member.active, member.connected, member.voter, member.eligible]);
  const enclaves = status.enclaves.map((enclave) => [enclave.id, enclave.error !== null, enclave.assurance]);
  const key = JSON.stringify([width, drawn, enclaves, [...voted], leaderKey]);
  renew(place, key, () => [ring(width, status, voted, leaderKey)]);
}

function ring(width, status, voted, leaderKey) {
  const members = status.members;
  const narrow = width < 420;
  const few = members.length <= NAMED_MAX;
  const height = Math.round(narrow ? width * 1.08 : Math.min(width * 0.98, 430));
  const middle = { x: width / 2, y: height / 2 };
  const radius = Math.min(height / 2 - (narrow ? 62 : 66), width / 2 - 42);
  const size = few ? (narrow ? 19 : 24) : Math.max(4, Math.min(12, (radius * 2.2) / members.length));
  const placed = members.map((member, index) => {
    const turn = (index / members.length) * 2 * Math.PI - Math.PI / 2;
    return { member, turn, x: middle.x + radius * Math.cos(turn), y: middle.y + radius * Math.sin(turn), size };
  });
  const own = placed.find((one) => one.member.self);
  const others = placed.filter((one) => own && !one.member.self);
  const signers = placed.filter((one) => voted.has(one.member.key));
  const parts = [
    shape("circle", { class: "orbit", cx: middle.x, cy: middle.y, r: radius }),
    ...others.map((other) => tie(own, other, middle, radius)),
    ...signers.map((one) => shape("path", { class: "vote", d: `M${one.x} ${one.y}L${middle.x} ${middle.y}` })),
    ...enclaveShapes(status.enclaves, middle, narrow),
    ...placed.map((one) => nodeShape(one, one.member.key === leaderKey, voted.has(one.member.key), few, narrow)),
  ];
  const leader = members.find((member) => member.key === leaderKey);
  const alive = members.filter((member) => member.active).length;
  const label = `${alive} of ${members.length} nodes alive; ${leader ? `${leader.name} leads` : "nobody leads"}; ` +
    `${voted.size} voted in the last election. The table of nodes says the same.`;
  return shape("svg", { role: "img", "aria-label": label, viewBox: `0 0 ${width} ${height}`, width, height }, ...parts);
}

/** The link of this node to another: along the ring to neighbours, past the middle to those opposite. */
function tie(own, other, middle, radius) {
  const state = other.member.active ? (other.member.connected ? "alive" : "heard") : "silent";
  const apart = Math.abs(((other.turn - own.turn + 3 * Math.PI) % (2 * Math.PI)) - Math.PI);
  const half = { x: (own.x + other.x) / 2, y: (own.y + other.y) / 2 };
  const out = Math.hypot(half.x - middle.x, half.y - middle.y);
  const opposite = out < radius * 0.08;
  const way = opposite
    ? { x: Math.cos(own.turn + Math.PI / 2), y: Math.sin(own.turn + Math.PI / 2) }
    : { x: (half.x - middle.x) / out, y: (half.y - middle.y) / out };
  const bend = opposite ? radius * 1.18 : Math.max(0, radius * 1.18 * (apart / Math.PI) ** 2 - out * 0.2);
  const control = { x: half.x + way.x * bend, y: half.y + way.y * bend };
  return shape("path", { class: `tie ${state}`, d: `M${own.x} ${own.y}Q${control.x} ${control.y} ${other.x} ${other.y}` });
}

function enclaveShapes(enclaves, middle, narrow) {
  const shown = enclaves.slice(0, 2);
  const [width, height, gap] = [narrow ? 128 : 138, narrow ? 50 : 56, 8];
  const top = middle.y - (shown.length * height + (shown.length - 1) * gap) / 2;
  const boxes = shown.map((enclave, index) => {
    const y = top + index * (height + gap);
    const line = (at, kind, text) => shape("text", { class: kind, x: middle.x, y: y + at }, text);
    const worth = lessThanAttested(enclave.assurance);
    const state = enclave.error === null && enclave.id ? "good" : "bad";
    const second = enclave.id ? (worth ?? "attested") : enclave.error ? "not in use" : "not verified yet";
    return shape(
      "g",
      { class: `enclave ${state}` },
      shape("rect", { x: middle.x - width / 2, y, width, height, rx: 10 }),
      line(height / 2 - 5, "enclave-name", enclave.id ? `enclave ${head(enclave.id)}` : "enclave"),
      line(height / 2 + 14, worth && enclave.id ? "enclave-worth less" : "enclave-worth", second),
    );
  });
  const more = enclaves.length - shown.length;
  const below = { class: "enclave-worth", x: middle.x, y: top + shown.length * (height + gap) + 10 };
  return more > 0 ? [...boxes, shape("text", below, `and ${more} more`)] : boxes;
}

function nodeShape({ member, x, y, turn, size }, leads, voted, few, narrow) {
  const state = member.active ? "alive" : "silent";
  const kind = `node ${state}${leads ? " leads" : ""}${member.voter ? "" : " observer"}${member.self ? " own" : ""}`;
  const parts = [shape("title", {}, `${member.name}, ${member.address}: ${standing(member)}${leads ? ", leads" : ""}`)];
  if (member.self) parts.push(shape("circle", { class: "own-mark", cx: x, cy: y, r: size + 5 }));
  parts.push(shape("circle", { class: "body", cx: x, cy: y, r: size }));
  if (leads && few) parts.push(shape("path", { class: "crown", d: crown(x, y, size) }));
  if (!few) return shape("g", { class: kind }, ...parts);
  if (!member.active) parts.push(shape("path", { class: "cross", d: cross(x, y, size * 0.34) }));
  if (voted) parts.push(ballot(x + size * 0.78, y + size * 0.78));
  const above = Math.sin(turn) < -0.5;
  const first = above ? y - size - 24 : y + size + 21;
  const words = leads ? "leads" : member.self ? "this node" : member.active ? (member.eligible ? "" : "does not lead") : "silent";
  const both = leads && member.self ? "leads, this node" : words;
  parts.push(
    shape("text", { class: "node-name", x, y: first }, cut(member.name, narrow ? 13 : 18)),
    shape("text", { class: "node-word", x, y: first + 15 }, both),
  );
  return shape("g", { class: kind }, ...parts);
}

function crown(x, y, size) {
  const s = size * 0.5;
  return `M${x - s} ${y + s * 0.7}L${x - s} ${y - s * 0.55}L${x - s * 0.45} ${y + s * 0.05}L${x} ${y - s * 0.85}` +
    `L${x + s * 0.45} ${y + s * 0.05}L${x + s} ${y - s * 0.55}L${x + s} ${y + s * 0.7}Z`;
}

const cross = (x, y, s) => `M${x - s} ${y - s}L${x + s} ${y + s}M${x + s} ${y - s}L${x - s} ${y + s}`;

/** The mark of a vote that was counted. */
function ballot(x, y) {
  return shape(
    "g",
    { class: "ballot" },
    shape("circle", { cx: x, cy: y, r: 8 }),
    shape("path", { d: `M${x - 3.6} ${y + 0.2}L${x - 1} ${y + 3}L${x + 3.8} ${y - 2.8}` }),
  );
}

/** The same as a table, which needs no eyes and no colours. */
export function listMembers(status, checks, leaderKey) {
  const voted = voters(checks);
  const rows = at("member-rows");
  const fixed = status.members.map((member) => [member.key, member.name, member.address, member.voter, member.self]);
  renew(rows, JSON.stringify(fixed), () => status.members.map((member) => row(member)));
  status.members.forEach((member, index) => {
    const [, seen, vote, life, term] = rows.children[index].children;
    rows.children[index].className = `${member.active ? "alive" : "silent"}${member.key === leaderKey ? " leads" : ""}`;
    say(rows.children[index].querySelector(".roles"), roles(member, leaderKey));
    say(seen, member.self ? "itself" : member.active ? (member.connected ? "alive" : "through others") : silence(member));
    say(vote, checks === null ? "" : voted.has(member.key) ? "✓ yes" : "no");
    say(life, member.generation === null ? "–" : String(member.generation));
    say(term, String(member.highest_term));
  });
}

const silence = (member) => (member.silent_ms === null ? "never heard" : `silent ${span(member.silent_ms)}`);

function roles(member, leaderKey) {
  const words = [];
  if (member.key === leaderKey) words.push("leader");
  if (member.self) words.push("this node");
  if (!member.voter) words.push("observer");
  else if (member.active && !member.eligible) words.push("does not lead now");
  return words.join(", ");
}

function row(member) {
  const name = element(
    "th",
    { scope: "row" },
    element("span", { class: "member-name" }, member.name || head(member.key)),
    " ",
    element("span", { class: "roles" }),
    element("span", { class: "address" }, member.address || "no address"),
  );
  const number = () => element("td", { class: "number" });
  return element("tr", {}, name, element("td"), element("td"), number(), number());
}

/** Each enclave, what it measures, and what that is worth. */
export function listEnclaves(status) {
  const list = at("enclaves");
  const key = JSON.stringify(status.enclaves.map(({ answered_ms_ago, ...rest }) => rest));
  renew(list, key, () => status.enclaves.length ? status.enclaves.map(enclaveItem) : [element("li", { class: "quiet" }, "This node has none.")]);
  status.enclaves.forEach((enclave, index) => {
    const ago = enclave.answered_ms_ago;
    const text = ago === null ? "" : ago < 5000 ? "answered just now" : `answered ${span(ago)} ago`;
    say(list.children[index].querySelector(".ago"), text);
  });
}

function enclaveItem(enclave) {
  const worth = lessThanAttested(enclave.assurance);
  const state = enclave.error !== null ? "not in use" : enclave.id ? "accepted" : "not verified yet";
  const registers = ["pcr0", "pcr1", "pcr2"].filter((register) => enclave[register]);
  return element(
    "li",
    { class: enclave.error === null && enclave.id ? "good" : "bad" },
    element(
      "p",
      { class: "enclave-line" },
      element("span", { class: "state" }, state),
      worth ? element("span", { class: "badge less" }, worth) : "",
      element("code", { class: "endpoint" }, enclave.endpoint),
      element("span", { class: "ago quiet" }),
    ),
    enclave.error !== null ? element("p", { class: "fault" }, enclave.error) : "",
    enclave.id ? digits("id", enclave.id) : "",
    ...registers.map((register) => digits(register.toUpperCase(), enclave[register])),
  );
}

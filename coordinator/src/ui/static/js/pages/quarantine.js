// The page of rejected records: counts as filters, the distance to the limit, and each record.

import { apiPath, get } from "../api.js";
import { h, href } from "../dom.js";
import { number, plural, share } from "../format.js";
import { bar, emptyPanel, noLake, oldVersionNote, pageHead, section, versionPicker } from "../parts.js";
import { navigate } from "../router.js";
import { filterField } from "../table.js";
import { cut, line } from "../escape.js";
import { recordItem } from "./quarantine_record.js";

const FILTERS = ["source", "reason", "field", "object", "run", "text"];
const GROUPS = [["source", "Source"], ["reason", "Reason"], ["field", "Field"], ["object", "Object"], ["run", "Version"]];
const LIMIT = 50;
const GROUP_VALUES = 8;

export async function page({ query, signal }) {
  const lake = await get("/lake", null, signal);
  if (lake.version === null) return h("div", null, pageHead("Quarantine"), noLake(lake));
  const offset = Math.max(0, Number(query.offset) || 0);
  const filters = Object.fromEntries(FILTERS.map((name) => [name, query[name]]));
  const parameters = { ...filters, version: query.version };
  const data = await get("/quarantine", { ...parameters, offset, limit: LIMIT }, signal);
  // Builds the address of this page with other filters. A change of filters starts at the first record.
  const address = (changes) => href(["quarantine"], { ...parameters, ...changes });
  const isFiltered = FILTERS.some((name) => query[name]);
  return h(
    "div",
    null,
    pageHead(
      "Quarantine",
      `${plural(data.total, "rejected record")}${isFiltered ? " match the filters" : ""}`,
      data.total > 0 ? h("a", { class: "button", href: apiPath("/quarantine.csv", parameters), download: "quarantine.csv" }, "Download CSV") : null,
      versionPicker(lake.version, query.version, (version) => navigate(address({ version }))),
    ),
    oldVersionNote(lake.version, query.version, address({ version: null })),
    data.shares.length > 0 ? section("limits", "Distance to the limit", limitList(data.shares)) : null,
    h("div", { class: "toolbar" }, filterField("record", "", query.text ?? "", (text) => navigate(address({ text }), { replace: true })), chips(filters, address)),
    groups(data.groups, filters, address),
    section("records", "Records", ...records(data, offset, address, isFiltered)),
  );
}

// A run fails if the share of rejected records of a source exceeds the limit.
function limitList(shares) {
  return h(
    "ul",
    { class: "limits" },
    shares.map((one) => {
      const isOver = one.limit !== null && one.share > one.limit;
      const isNear = !isOver && one.limit !== null && one.share > one.limit / 2;
      const state = isOver ? "over the limit" : isNear ? "close to the limit" : "below the limit";
      return h(
        "li",
        null,
        h("span", { class: "label" }, one.source),
        bar(one.share, one.limit || 1, isOver ? "bad" : isNear ? "warn" : ""),
        h("span", null, `${number(one.rejected)} of ${plural(one.records, "record")}: ${share(one.share)} of at most ${share(one.limit)}, `, h("span", { class: isOver ? "bad-text" : isNear ? "warn-text" : "muted" }, state)),
      );
    }),
  );
}

function chips(filters, address) {
  const active = FILTERS.filter((name) => filters[name] && name !== "text");
  if (active.length === 0) return null;
  return h(
    "ul",
    { class: "chips", "aria-label": "Active filters" },
    active.map((name) => h("li", null, h("a", { href: address({ [name]: null }), title: `Remove the filter ${name}` }, `${name}: `, h("bdi", null, cut(line(filters[name]), 60)), h("span", { "aria-hidden": "true" }, " ✕"), h("span", { class: "hidden" }, " (remove)")))),
    active.length > 1 ? h("li", null, h("a", { href: "/quarantine" }, "Remove all")) : null,
  );
}

function groups(all, filters, address) {
  const shown = GROUPS.filter(([name]) => (all[name] ?? []).length > 0);
  if (shown.length === 0) return null;
  return h(
    "div",
    { class: "facets" },
    shown.map(([name, label]) => {
      const values = all[name].map((item) => ({ key: name === "run" ? item.version : item.value, count: item.count }));
      const max = Math.max(...values.map(({ count }) => count));
      const more = values.length - GROUP_VALUES;
      const list = h("ul", { class: "counts" }, values.slice(0, GROUP_VALUES).map(({ key, count }) => facet(name, key, count, max, filters, address)));
      const rest = more > 0 ? h("details", null, h("summary", null, `${number(more)} more`), h("ul", { class: "counts" }, values.slice(GROUP_VALUES).map(({ key, count }) => facet(name, key, count, max, filters, address)))) : null;
      return h("section", { class: name, "aria-label": `Records by ${label.toLowerCase()}` }, h("h2", null, label), list, rest);
    }),
  );
}

function facet(name, key, count, max, filters, address) {
  const text = key === null || key === undefined ? "whole record" : name === "run" ? `version ${key}` : line(String(key));
  const isActive = key !== null && String(filters[name] ?? "") === String(key);
  // A group without a value cannot be a filter: an empty parameter means no filter.
  const label = key === null || key === undefined
    ? h("span", { class: "label" }, text)
    : h("a", { class: "label", href: address({ [name]: isActive ? null : key }), "aria-current": isActive ? "true" : null, title: text }, h("bdi", null, text));
  return h("li", null, label, bar(count, max), h("span", { class: "count" }, number(count)));
}

function records(data, offset, address, isFiltered) {
  if (data.total === 0) {
    return [
      isFiltered
        ? emptyPanel("No record matches the filters.", h("a", { href: "/quarantine" }, "Remove all filters"))
        : emptyPanel("No record was rejected.", "A record that is malformed or does not fit the declared types appears here, with its place and its text."),
    ];
  }
  const last = Math.min(offset + data.records.length, data.total);
  return [
    h("p", { class: "muted", role: "status" }, `Records ${number(offset + 1)} to ${number(last)} of ${number(data.total)}`),
    h("ol", { class: "records", start: offset + 1 }, data.records.map(recordItem)),
    h(
      "div",
      { class: "pager" },
      offset > 0 ? h("a", { class: "button", href: address({ offset: Math.max(0, offset - LIMIT) || null }) }, "Previous") : null,
      last < data.total ? h("a", { class: "button", href: address({ offset: offset + LIMIT }) }, "Next") : null,
    ),
  ];
}

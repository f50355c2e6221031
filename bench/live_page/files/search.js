// The path of a search: its probes with their verdicts, and what they enclose so far.
import { element, fillTable, setText } from "./dom.js";
import { arrivals, count, duration, latency, missing, percent, plain } from "./text.js";

const VERDICTS = { met: "good", missed: "bad", undecided: "warn", "not reached": "warn", void: "bad" };

function criterionText(criterion) {
  const show = criterion.kind === "mean" ? latency : percent;
  const what = criterion.kind === "share" ? `${criterion.name} exceeded by` : criterion.name;
  return `${what} ${show(criterion.value)} (95% interval ${show(criterion.low)} to ${show(criterion.high)}), allowed ${show(criterion.allowed)}`;
}

function bracketText(path, unit) {
  const level = (value) => path.over === "rate" ? `${plain(value)} ${unit}` : `${count(value)} users`;
  const sure = (surely) => (surely ? "" : ", not yet certain");
  const parts = [
    missing(path.met) ? "No level has met the SLO so far" : `Met at ${level(path.met)}${sure(path.met_surely)}`,
    missing(path.missed) ? "no level has missed it" : `missed at ${level(path.missed)}${sure(path.missed_surely)}`,
  ];
  if (!missing(path.out_of_reach)) parts.push(`${level(path.out_of_reach)} could not be judged`);
  const limit = missing(path.at_most_s) ? "" : ` of at most ${duration(path.at_most_s)}`;
  return `${parts.join("; ")}. Between ${level(path.lowest)} and ${level(path.highest)}. Load time of the probes: ${duration(path.spent_s)}${limit}.`;
}

/** state: of a load; its `search_path` is from `runfolder/search_path.py`, null in a run that is no search. */
export function showSearch(state, now) {
  const path = state.search_path;
  element("search-part").hidden = !path;
  if (!path) return;
  const unit = arrivals(state);
  setText("bracket", bracketText(path, unit));
  const level = path.over === "rate" ? unit[0].toUpperCase() + unit.slice(1) : "Users";
  fillTable("probe", [[level, "number"], ["Verdict"], ["Requests", "number"], ["Measured", "number"], ["Why", "sentence"]],
    path.probes.map((probe) => {
      const more = missing(probe.looks_at) ? "" : `, next look in ${duration(probe.looks_at - now)}`;
      return {
        kind: probe.running ? "current" : "",
        cells: [
          plain(probe.level) + (probe.purpose === "confirmation" ? " (confirmation)" : ""),
          [`${probe.verdict ?? (probe.running ? "measuring" : "–")}${more}`, VERDICTS[probe.verdict] ?? ""],
          count(probe.requests), duration(probe.measured_s),
          [...probe.reasons, ...probe.criteria.map(criterionText)].join("; "),
        ],
      };
    }));
}

// The load: where it is, its figures, its steps, its errors and its load generators.
import { Chart } from "./charts.js";
import { element, fillTable, fillTiles, setText } from "./dom.js";
import { costNotes } from "./run.js";
import { PHASES, arrivals, count, dollars, duration, latency, missing, number, percent, plain, shortName, tick } from "./text.js";

const KEPT_POINTS = 1800;
const HEALTH = { ok: ["ok", "good"], busy: ["CPU-bound", "bad"], late: ["reads late", "warn"], silent: ["silent", "bad"] };
const SLO = { met: ["met", "good"], missed: ["missed", "bad"], open: ["open", "warn"], unmeasured: ["unmeasured", "warn"] };
const TRUST = { pass: ["trusted", "good"], warn: ["with warnings", "warn"], void: ["void", "bad"] };

const context = { steps: [], now: 0 };
const points = new Map();
let columns = {}, charts = [], chartsOf = "";
/** What the page has of the points. */
export const have = { load: "", version: 0 };

/** Where the load is. Returns what a screen reader is told. */
export function showPhase(state) {
  const known = !state.search && state.steps_total > 0;
  const place = state.ordinal === 0 ? "Before the first step"
    : `${state.search ? "Probe" : "Step"} ${state.ordinal}${known ? ` of ${state.steps_total}` : ""}: ${shortName(state.step ?? "")}`;
  setText("step", place);
  setText("phase", PHASES[state.phase] ?? state.phase);
  const total = state.phase_total_s, bar = element("progress");
  if (total) bar.value = Math.min(1, state.phase_elapsed_s / total);
  else bar.removeAttribute("value");
  const adaptive = state.phase === "measure" && state.until, most = adaptive ? "at most " : "";
  const left = total ? `${most}${duration(total - state.phase_elapsed_s)} left in this phase` : `for ${duration(state.phase_elapsed_s)}`;
  const rest = missing(state.eta_s) ? "" : `, ${most || "about "}${duration(state.eta_s)} left in this experiment`;
  setText("left", left + rest + (adaptive ? `; ${precision(state.until)}` : ""));
  return `${place}, ${PHASES[state.phase] ?? ""}`;
}

/** How well the statistic that ends the measurement is known. */
function precision(until) {
  const name = until.statistic.replace(/^(\w+)_(p\d+)$/, (_, metric, rank) => `${metric.toUpperCase()} ${rank}`);
  const reached = missing(until.reach) ? "is not known yet" : `is known to ±${number(until.reach * 100)}%`;
  return `${name} ${reached}, ±${percent(until.share)} is asked for`;
}

export function showTiles(state, cost) {
  const step = state.steps.find((each) => each.step === state.step) ?? {};
  const limits = (metric) => state.objectives.filter((each) => each.metric === metric).map((each) => each.label.replace(/^\S+/, "SLO"));
  const latencyTile = (metric) => [
    `${metric.toUpperCase()} p50`, latency(step[`${metric}_p50_ms`]),
    [`p95 ${latency(step[`${metric}_p95_ms`])}`, ...limits(metric)].join(" · "),
  ];
  const failed = state.outcomes.failed ?? 0, ended = failed + (state.outcomes.ok ?? 0);
  const others = [["censored", "cut off"], ["withheld", "withheld"]]
    .filter(([key]) => state.outcomes[key]).map(([key, word]) => `${count(state.outcomes[key])} ${word}`);
  const target = missing(state.target) ? missing(state.rate) ? "–" : `${plain(state.rate)} ${arrivals(state)}` : `${count(state.target)} users`;
  fillTiles(element("tiles"), [
    missing(state.target) && !missing(state.rate)
      ? ["Requests/s", number(missing(step.requests_per_minute) ? null : step.requests_per_minute / 60), `target ${target} · ${count(state.in_flight)} in flight`]
      : ["In flight", count(state.in_flight), `target ${target} · ${count(state.users)} running`],
    latencyTile("ttft"), latencyTile("tpot"), latencyTile("e2e"),
    ["Output tokens/s", number(step.completion_tokens_per_s), `${number(step.requests_per_minute)} requests/min`],
    ["Errors", count(failed), [ended ? `${percent(failed / ended)} of ${count(ended)}` : "no request has ended", ...others].join(" · ")],
    ["Cost so far", dollars(cost.spent_usd), costNotes(cost)],
  ]);
}

const STEP_HEADS = [
  ["Step"], ["State"], ["SLO"], ["Trust"], ["Answers", "number"], ["Errors", "number"], ["TTFT p50", "number"], ["TTFT p95", "number"],
  ["TPOT p50", "number"], ["E2E p50", "number"], ["E2E p95", "number"], ["Requests/min", "number"], ["Tokens/s", "number"], ["Remarks", "sentence"],
];

/** One row per step of this load and of those before it. `judged`: what the report says of them. */
export function showSteps(state, earlier, judged, live) {
  const name = earlier.length ? (step) => step : shortName;
  const steps = [...earlier.flatMap((each) => each.steps), ...state.steps];
  fillTable("step", STEP_HEADS, steps.map((step) => {
    const current = live && step.step === state.step;
    const checks = step.checks.filter((check) => check.status === "missed").map((check) => `${check.label}: ${latency(check.value_ms)}`);
    const bad = { degraded: "warn", interrupted: "bad" }[step.state] ?? "";
    return {
      kind: current ? "current" : "",
      cells: [
        name(step.step) + (step.purpose === "confirmation" ? " (confirmation)" : ""),
        [step.announced_at === null ? "not played" : current ? PHASES[state.phase] ?? "" : step.state, bad],
        SLO[judged[step.step]?.slo ?? step.slo] ?? ["–", ""],
        TRUST[judged[step.step]?.trust] ?? ["–", ""],
        count(step.measure_started_at === null ? step.ok : step.measured_ok),
        [count(step.failed), step.failed ? "bad" : ""],
        latency(step.ttft_p50_ms), latency(step.ttft_p95_ms), latency(step.tpot_p50_ms),
        latency(step.e2e_p50_ms), latency(step.e2e_p95_ms),
        number(step.requests_per_minute), number(step.completion_tokens_per_s),
        [...checks, step.reasons].filter(Boolean).join("; "),
      ],
    };
  }));
}

export function showErrors(state) {
  const any = state.errors.length > 0;
  element("no-errors").hidden = any;
  element("error-table").hidden = !any;
  fillTable("error", [["Class"], ["Requests", "number"], ["First message", "sentence"]],
    state.errors.map((error) => ({ cells: [error.class, count(error.count), error.example] })));
}

export function showWorkers(state) {
  const heads = [["Worker"], ["Host"], ["Health"], ["In flight", "number"], ["CPU", "number"], ["Memory", "number"],
    ["Loop lag p99", "number"], ["Reading delay p99", "number"], ["Round trip", "number"]];
  fillTable("worker", heads, state.workers.map((worker) => ({
    cells: [
      worker.worker, worker.host, HEALTH[worker.health] ?? [worker.health, ""], count(worker.in_flight),
      `${count(worker.cpu_percent)}%`, `${count(worker.memory_mb)} MB`, latency(worker.lag_p99_ms),
      latency(worker.clock_lag_p99_ms), latency(worker.rtt_ms),
    ],
  })));
}

function buildCharts(state) {
  const open = missing(state.target) && !missing(state.rate);
  const key = JSON.stringify([have.load, open, state.objectives]);
  if (key === chartsOf) return;
  chartsOf = key;
  charts.forEach((chart) => chart.remove());
  const parent = element("plots");
  const metric = (name) => [
    { name: "p50", field: `${name}_p50_ms`, color: "accent" },
    { name: "p95", field: `${name}_p95_ms`, color: "second" },
    ...state.objectives.filter((each) => each.metric === name)
      .map((each) => ({ name: `SLO ${each.statistic}`, limit: each.limit_ms, color: "bad" })),
  ];
  const target = { name: "target", field: "target", color: "second", dash: [2, 3] };
  const loadLines = open
    ? [target, { name: "completed", field: "completed_per_s", color: "accent" }]
    : [target, { name: "in flight", field: "in_flight", color: "accent" }];
  const plainly = { value: plain, tick: plain }, time = { value: latency, tick };
  const chart = (title, lines, format) => new Chart(parent, title, lines, format, context);
  charts = [
    chart(open ? "Requests/s" : "Concurrency", loadLines, plainly),
    chart("TTFT", metric("ttft"), time),
    chart("TPOT", metric("tpot"), time),
    chart("E2E latency", metric("e2e"), time),
    chart("Output tokens/s", [{ name: "tokens/s", field: "tokens_per_s", color: "accent" }], plainly),
    chart(open ? "In flight, and errors/s" : "Requests/s", [
      open ? { name: "in flight", field: "in_flight", color: "accent" } : { name: "completed", field: "completed_per_s", color: "accent" },
      { name: "failed", field: "failed_per_s", color: "bad" },
    ], plainly),
  ];
}

export function drawCharts() {
  let shown = [...points.values()].sort((one, other) => one[columns.at] - other[columns.at]);
  const range = Number(element("range").value);
  if (range && shown.length) {
    const from = shown[shown.length - 1][columns.at] - range;
    shown = shown.filter((point) => point[columns.at] >= from);
  }
  charts.forEach((chart) => chart.update(shown, columns));
}

export function showCharts(state) {
  context.steps = state.steps;
  context.now = state.now;
  if (state.step !== null) buildCharts(state);
  drawCharts();
}

/** Draw all charts anew, with the colors of now. */
export function rebuildCharts() {
  charts.forEach((chart) => chart.build());
}

export function takePoints(series) {
  if (series.load !== have.load) points.clear();
  have.load = series.load;
  have.version = series.version;
  columns = Object.fromEntries(series.fields.map((name, index) => [name, index]));
  series.points.forEach((point) => points.set(point[columns.at], point));
  const surplus = points.size - KEPT_POINTS;
  if (surplus > 0) [...points.keys()].sort((a, b) => a - b).slice(0, surplus).forEach((at) => points.delete(at));
}

// Polls the state of the run and shows it. Everything from outside becomes text, never markup.
import { Chart } from "./charts.js";

const POLL_MS = 1000;
const RETRY_MS = 2000;
const KEPT_POINTS = 1800;
const PHASES = {
  start: "starting", ramp: "ramping up", warm_up: "warming up", measure: "measuring",
  tail: "waiting for the last measured requests", drain: "waiting for the last requests", done: "ended",
};
const HEALTH = { ok: ["ok", "good"], busy: ["CPU-bound", "bad"], late: ["reads late", "warn"], silent: ["silent", "bad"] };
const SLO = { met: ["met", "good"], missed: ["missed", "bad"], open: ["open", "warn"], unmeasured: ["unmeasured", "warn"] };
const ENDS = {
  0: ["All steps were played.", "good"], 3: ["Some steps are incomplete.", "warn"],
  4: ["The endpoint refused the requests.", "bad"], 130: ["The run was interrupted.", "warn"],
};

const element = (id) => document.getElementById(id);
const missing = (value) => value === null || value === undefined;

// Numbers as in the report: three significant digits.
const number = (value) => missing(value) ? "–" : value === 0 ? "0"
  : new Intl.NumberFormat("en-US", value < 1000
    ? { minimumSignificantDigits: 3, maximumSignificantDigits: 3 } : { maximumSignificantDigits: 3 }).format(value);
const plain = (value) => missing(value) ? "–" : new Intl.NumberFormat("en-US", { maximumSignificantDigits: 4 }).format(value);
const count = (value) => missing(value) ? "–" : Math.round(value).toLocaleString("en-US");
const latency = (ms) => missing(ms) ? "–" : ms >= 1000 ? `${number(ms / 1000)} s` : `${number(ms)} ms`;
const tick = (ms) => ms >= 1000 ? `${plain(ms / 1000)} s` : `${plain(ms)} ms`;
const percent = (share) => missing(share) ? "–" : `${plain(share * 100)}%`;
const dollars = (usd) => missing(usd) ? "–" : usd >= 1 ? `$${usd.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}` : `$${number(usd)}`;
const duration = (seconds) => {
  if (missing(seconds)) return "–";
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 90) return `${whole} s`;
  if (whole < 5400) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
  return `${Math.floor(whole / 3600)} h ${String(Math.floor(whole / 60) % 60).padStart(2, "0")} min`;
};
const shortName = (step) => step.split("/").pop();

const context = { steps: [], now: 0 };
const points = new Map();
let load = "", version = 0, columns = {}, charts = [], chartsOf = "", last = null, spoken = "";

function setText(id, text) {
  const target = element(id);
  if (target.textContent !== text) target.textContent = text;
}

/** One element; `content` is text. */
function made(tag, content, kind) {
  const result = document.createElement(tag);
  result.textContent = content;
  if (kind) result.className = kind;
  return result;
}

function showBanner(text, kind) {
  const banner = element("banner");
  banner.hidden = !text;
  banner.className = `banner ${kind ?? ""}`;
  setText("banner", text ?? "");
}

function speak(text) {
  if (text !== spoken) setText("spoken", spoken = text);
}

function showHead(state) {
  setText("title", state.experiment);
  const facts = [state.plan && `Plan ${state.plan}`, `endpoint ${state.endpoint}`, state.region, `run ${state.run}`];
  setText("facts", facts.filter(Boolean).join(" · "));
  const known = !state.search && state.steps_total > 0;
  const place = state.ordinal === 0 ? "Before the first step"
    : `${state.search ? "Probe" : "Step"} ${state.ordinal}${known ? ` of ${state.steps_total}` : ""}: ${shortName(state.step ?? "")}`;
  const ended = state.phase === "done";
  setText("step", ended ? "Ended" : place);
  setText("phase", ended ? "" : PHASES[state.phase] ?? state.phase);
  document.title = `${ended ? "Ended" : `${shortName(state.step ?? "")} ${PHASES[state.phase] ?? ""}`} · ${state.experiment}`;
  const total = state.phase_total_s, bar = element("progress");
  if (ended) bar.value = 1;
  else if (total) bar.value = Math.min(1, state.phase_elapsed_s / total);
  else bar.removeAttribute("value");
  const left = total ? `${duration(total - state.phase_elapsed_s)} left in this phase` : `for ${duration(state.phase_elapsed_s)}`;
  const rest = missing(state.eta_s) ? "" : `, about ${duration(state.eta_s)} left in this experiment`;
  setText("left", ended ? "" : left + rest);
  if (ended) {
    const [sentence, kind] = ENDS[state.exit_code] ?? ["The load failed.", "bad"];
    const why = state.message ? ` ${state.message}` : "";
    showBanner(`The load has ended. ${sentence}${why} The report is written to the run folder.`, kind);
    speak(`The load has ended. ${sentence}`);
  } else {
    showBanner(state.message, "");
    speak(`${place}, ${PHASES[state.phase] ?? ""}`);
  }
}

function showTiles(state) {
  const step = state.steps.find((each) => each.step === state.step) ?? {};
  const limits = (metric) => state.objectives.filter((each) => each.metric === metric).map((each) => each.label.replace(/^\S+/, "SLO"));
  const latencyTile = (metric) => [
    `${metric.toUpperCase()} p50`, latency(step[`${metric}_p50_ms`]),
    [`p95 ${latency(step[`${metric}_p95_ms`])}`, ...limits(metric)].join(" · "),
  ];
  const failed = state.outcomes.failed ?? 0, ended = failed + (state.outcomes.ok ?? 0);
  const others = [["censored", "cut off"], ["withheld", "withheld"]]
    .filter(([key]) => state.outcomes[key]).map(([key, word]) => `${count(state.outcomes[key])} ${word}`);
  const cost = state.cost, costNotes = [];
  if (!missing(cost.expected_usd)) costNotes.push(`at most ${dollars(cost.expected_usd)} expected`);
  if (!missing(cost.max_spend_usd)) costNotes.push(`limit ${dollars(cost.max_spend_usd)}`);
  if (cost.assumed) costNotes.push("assumed price");
  if (missing(cost.usd_per_hour)) costNotes.push("no price is known");
  const target = missing(state.target) ? missing(state.rate) ? "–" : `${plain(state.rate)} requests/s` : `${count(state.target)} users`;
  const tiles = [
    missing(state.target) && !missing(state.rate)
      ? ["Rate", `${number(missing(step.requests_per_minute) ? null : step.requests_per_minute / 60)} /s`, `target ${target} · ${count(state.in_flight)} in flight`]
      : ["In flight", count(state.in_flight), `target ${target} · ${count(state.users)} running`],
    latencyTile("ttft"), latencyTile("tpot"), latencyTile("e2e"),
    ["Output tokens/s", number(step.completion_tokens_per_s), `${number(step.requests_per_minute)} requests/min`],
    ["Errors", count(failed), [ended ? `${percent(failed / ended)} of ${count(ended)}` : "no request has ended", ...others].join(" · ")],
    ["Cost so far", dollars(cost.spent_usd), costNotes.join(" · ")],
  ];
  const list = element("tiles");
  if (list.children.length !== tiles.length) {
    list.replaceChildren(...tiles.map(([name]) => {
      const box = document.createElement("div");
      box.append(made("dt", name), made("dd", "", "value"), made("dd", "", "note"));
      return box;
    }));
  }
  tiles.forEach((texts, index) => texts.forEach((text, part) => {
    const target = list.children[index].children[part];
    if (target.textContent !== text) target.textContent = text;
  }));
}

/** Replace a table's rows. cells: [text, class] or text; the first one heads its row. */
function fill(name, heads, rows) {
  const head = element(`${name}-head`);
  if (!head.children.length) {
    head.append(...heads.map(([text, kind]) => {
      const cell = made("th", text, kind);
      cell.scope = "col";
      return cell;
    }));
  }
  const body = element(`${name}-rows`), key = JSON.stringify(rows);
  if (body.dataset.key === key) return;
  body.dataset.key = key;
  body.replaceChildren(...rows.map(({ kind, cells }) => {
    const row = document.createElement("tr");
    if (kind) row.className = kind;
    row.append(...cells.map((cell, index) => {
      const [text, own] = Array.isArray(cell) ? cell : [cell, ""];
      const result = made(index ? "td" : "th", text, `${heads[index][1] ?? ""} ${own}`.trim());
      if (!index) result.scope = "row";
      return result;
    }));
    return row;
  }));
}

const STEP_HEADS = [
  ["Step"], ["State"], ["SLO"], ["Answers", "number"], ["Errors", "number"], ["TTFT p50", "number"], ["TTFT p95", "number"],
  ["TPOT p50", "number"], ["E2E p50", "number"], ["E2E p95", "number"], ["Requests/min", "number"], ["Tokens/s", "number"], ["Remarks", "sentence"],
];

function showSteps(state) {
  fill("step", STEP_HEADS, state.steps.map((step) => {
    const current = step.step === state.step && state.phase !== "done";
    const [verdict, kind] = SLO[step.slo] ?? ["–", ""];
    const checks = step.checks.filter((check) => check.status === "missed").map((check) => `${check.label}: ${latency(check.value_ms)}`);
    const bad = { degraded: "warn", interrupted: "bad" }[step.state] ?? "";
    return {
      kind: current ? "current" : "",
      cells: [
        shortName(step.step) + (step.purpose === "confirmation" ? " (confirmation)" : ""),
        [step.announced_at === null ? "not played" : current ? PHASES[state.phase] ?? "" : step.state, bad],
        [verdict, kind],
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

function showErrors(state) {
  const any = state.errors.length > 0;
  element("no-errors").hidden = any;
  element("error-table").hidden = !any;
  fill("error", [["Class"], ["Requests", "number"], ["First message", "sentence"]],
    state.errors.map((error) => ({ cells: [error.class, count(error.count), error.example] })));
}

function showWorkers(state) {
  const heads = [["Worker"], ["Host"], ["Health"], ["In flight", "number"], ["CPU", "number"], ["Memory", "number"],
    ["Loop lag p99", "number"], ["Reading delay p99", "number"], ["Round trip", "number"]];
  fill("worker", heads, state.workers.map((worker) => ({
    cells: [
      worker.worker, worker.host, HEALTH[worker.health] ?? [worker.health, ""], count(worker.in_flight),
      `${count(worker.cpu_percent)}%`, `${count(worker.memory_mb)} MB`, latency(worker.lag_p99_ms),
      latency(worker.clock_lag_p99_ms), latency(worker.rtt_ms),
    ],
  })));
}

function buildCharts(state) {
  const open = missing(state.target) && !missing(state.rate);
  const key = JSON.stringify([load, open, state.objectives]);
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

function drawCharts() {
  let shown = [...points.values()].sort((one, other) => one[columns.at] - other[columns.at]);
  const range = Number(element("range").value);
  if (range && shown.length) {
    const from = shown[shown.length - 1][columns.at] - range;
    shown = shown.filter((point) => point[columns.at] >= from);
  }
  charts.forEach((chart) => chart.update(shown, columns));
}

function takePoints(series) {
  if (series.load !== load) points.clear();
  load = series.load;
  version = series.version;
  columns = Object.fromEntries(series.fields.map((name, index) => [name, index]));
  series.points.forEach((point) => points.set(point[columns.at], point));
  const surplus = points.size - KEPT_POINTS;
  if (surplus > 0) [...points.keys()].sort((a, b) => a - b).slice(0, surplus).forEach((at) => points.delete(at));
}

function show(state) {
  context.steps = state.steps;
  context.now = state.now;
  showHead(state);
  showTiles(state);
  showSteps(state);
  showErrors(state);
  showWorkers(state);
  if (state.step !== null) buildCharts(state);
  drawCharts();
}

async function poll() {
  let wait = POLL_MS;
  try {
    const answer = await fetch(`state?load=${encodeURIComponent(load)}&since=${version}`, { cache: "no-store" });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    last = await answer.json();
    takePoints(last.series);
    show(last);
    if (last.series.more) wait = 0;
  } catch (error) {
    if (!(error instanceof TypeError) && !/^status /.test(error.message)) throw error;
    wait = RETRY_MS;
    if (last?.phase !== "done") {
      showBanner("The connection to the load is lost: it has ended or was stopped. The report is in the run folder.", "warn");
      speak("The connection to the load is lost.");
      setText("step", "Not connected");
      setText("phase", "");
      setText("left", "What you see is the last state.");
      element("progress").value = 0;
    }
  }
  setTimeout(poll, wait);
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.forEach((chart) => chart.build()));
element("range").addEventListener("change", drawCharts);
poll();

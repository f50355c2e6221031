// Polls the state of the run and shows it.
import { element, setText } from "./dom.js";
import { drawCharts, have, rebuildCharts, showCharts, showErrors, showPhase, showSteps, showTiles, showWorkers, takePoints } from "./load.js";
import { endOf, showAnswer, showButtons, showFirstTiles, showResources, showStage, wireButtons } from "./run.js";
import { showSearch } from "./search.js";

const POLL_MS = 1000;
const RETRY_MS = 2000;
let last = null, spoken = "", closed = false;

function showBanner(text, kind) {
  const banner = element("banner");
  banner.hidden = !text;
  banner.className = `banner ${kind ?? ""}`;
  setText("banner", text ?? "");
}

function speak(text) {
  if (text !== spoken) setText("spoken", spoken = text);
}

function showHead({ run, load, locust_page: locust }) {
  setText("title", load?.experiment ?? run.instance_type ?? "");
  if (!element("title").textContent) setText("title", "Live run");
  const facts = [run.plan && `Plan ${run.plan}`, load && `endpoint ${load.endpoint}`, load?.region, run.id && `run ${run.id}`];
  setText("facts", facts.filter(Boolean).join(" · "));
  element("locust").hidden = !locust;
  if (locust) element("locust").firstElementChild.href = locust;
}

function show(state) {
  const { run, load, earlier } = state;
  const loading = run.stage === "load" && load !== null && load.phase !== "done" && state.locust_page !== null;
  showHead(state);
  const now = loading ? showPhase(load) : showStage(run);
  document.title = `${now} · ${element("title").textContent}`;
  showResources(run);
  showAnswer(run);
  showButtons(run);
  const end = endOf(run);
  showBanner(...(end ?? [loading && load.message ? load.message : run.problems.at(-1), ""]));
  speak(end ? end[0] : now);
  document.querySelectorAll(".of-load").forEach((part) => { part.hidden = load === null; });
  if (load === null) {
    showFirstTiles(run);
    return;
  }
  showTiles(load, run.cost.spent_usd ? { ...load.cost, ...run.cost } : load.cost);
  showSearch(load, load.now);
  showSteps(load, earlier, run.judged, loading);
  showErrors(load);
  showWorkers(load);
  showCharts(load);
}

function showLost() {
  if (last === null) {
    setText("left", "The run’s server does not answer yet.");
    return;
  }
  const end = last.run.stage === "ended";
  showBanner(end ? "The page’s server has ended. The report is in the run folder."
    : "The connection to the run is lost. It has ended, or this machine cannot reach it. Connecting …", end ? "" : "warn");
  speak(end ? "The page’s server has ended." : "The connection is lost.");
  element("close").hidden = element("stop").hidden = true;
  if (end) return;
  setText("step", "Connecting …");
  setText("phase", "");
  setText("left", "What you see is the last state.");
  element("progress").removeAttribute("value");
}

async function poll() {
  let wait = POLL_MS;
  try {
    const answer = await fetch(`state?load=${encodeURIComponent(have.load)}&since=${have.version}`, { cache: "no-store" });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    last = await answer.json();
    takePoints(last.series);
    show(last);
  } catch (error) {
    if (!(error instanceof TypeError) && !/^status /.test(error.message)) throw error;
    wait = RETRY_MS;
    showLost();
  }
  if (!closed) setTimeout(poll, wait);
}

wireButtons(() => {
  closed = true;
  showLost();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", rebuildCharts);
element("range").addEventListener("change", drawCharts);
poll();

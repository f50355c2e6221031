// The run around its loads: deployment, deletion, answer, and the two buttons.
import { element, fillTiles, made, replace, setText } from "./dom.js";
import { dollars, duration, missing } from "./text.js";

export const STAGES = {
  check: ["Preparing", "Checking the plan, the account and this machine."],
  workers: ["Waiting for workers", "The workers on other hosts have not all connected yet."],
  deploy: ["Deploying", ""],
  prompts: ["Making prompts", "The prompts get their lengths from the endpoint’s own tokenizer."],
  load: ["Starting the load", "The load generators start."],
  delete: ["Deleting", ""],
  cloudwatch: ["Reading CloudWatch", "CloudWatch has the figures of a load up to 3 minutes after it."],
  report: ["Making the report", ""],
  ended: ["Ended", ""],
};
const ENDS = {
  0: ["All steps were played.", "good"], 3: ["Some steps are incomplete.", "warn"],
  4: ["The endpoint refused the requests.", "bad"], 5: ["No step has figures to rely on.", "bad"],
  129: ["The run was interrupted.", "warn"], 130: ["The run was interrupted.", "warn"], 143: ["The run was interrupted.", "warn"],
};
const KINDS = { endpoint: "Endpoint", "endpoint-config": "Endpoint configuration", model: "Model",
  "inference-component": "Inference component", schedule: "Schedule" };
const DELETED = ["deleting", "deletion_refused", "deleted", "not_deleted"];

/** What is known of a resource: [text, class]. */
function resourceText(resource, now) {
  const took = duration(now - resource.since);
  const usual = missing(resource.usual_s) ? "" : `, usually ${duration(resource.usual_s)}`;
  switch (resource.state) {
    case "status":
      return resource.detail === "InService" ? ["InService", "good"] : [`${resource.detail} for ${took}${usual}`, ""];
    case "not_visible": return [`not visible yet, for ${took}`, ""];
    case "no_answer": return [`AWS does not answer (${resource.detail})`, "warn"];
    case "deleting": return [`being deleted, for ${took}`, ""];
    case "deletion_refused":
      return [`not deleted yet (${resource.detail}); still retrying, until ${resource.retry_until}`, "warn"];
    case "deleted": return ["deleted", "good"];
    default: return [`NOT deleted: ${resource.detail}`, "bad"];
  }
}

/** The cost so far and what limits it. */
export function costNotes(cost) {
  const notes = [];
  if (!missing(cost.expected_usd)) notes.push(`at most ${dollars(cost.expected_usd)} expected`);
  if (!missing(cost.max_spend_usd)) notes.push(`limit ${dollars(cost.max_spend_usd)}`);
  if (cost.assumed) notes.push("assumed price");
  if (missing(cost.spent_usd)) notes.push("no price is known");
  return notes.join(" · ");
}

/** Where the run is, while no load says it. Returns what a screen reader is told. */
export function showStage(run) {
  const [name, text] = STAGES[run.stage];
  const what = { deploy: ` ${run.instance_type}`, delete: " the endpoint" }[run.stage] ?? "";
  const waited = run.resources.filter((each) => !DELETED.includes(each.state)).pop();
  const usual = run.stage === "deploy" ? waited?.usual_s : undefined;
  setText("step", `${name}${what}`);
  setText("phase", run.stage === "ended" ? "" : `for ${duration(run.now - run.stage_since)}`);
  setText("left", text);
  const bar = element("progress");
  if (run.stage === "ended") bar.value = 1;
  else if (usual) bar.value = Math.min(1, (run.now - waited.since) / usual);
  else bar.removeAttribute("value");
  return `${name}${what}`;
}

/** Tiles before the first load. */
export function showFirstTiles(run) {
  fillTiles(element("tiles"), [
    ["Instance type", run.instance_type || "–", ""],
    ["Cost so far", dollars(run.cost.spent_usd), costNotes(run.cost)],
  ]);
}

/** Resources on AWS while they are created or deleted. */
export function showResources(run) {
  const shown = run.stage === "load" ? [] : run.resources.map((each) => [KINDS[each.kind] ?? each.kind, each.name, ...resourceText(each, run.now)]);
  element("resources").hidden = !shown.length;
  replace(element("resources"), shown, ([kind, name, text, mark]) => {
    const item = made("li", "");
    item.append(made("strong", kind), ` ${name}: `, made("span", text, mark));
    return item;
  });
}

/** The banner of an ended run: [text, class]; null before. */
export function endOf(run) {
  if (run.stage !== "ended") return null;
  const [sentence, kind] = run.stopped ? ["You have stopped the run.", "warn"] : ENDS[run.exit_code] ?? ["The run failed.", "bad"];
  return [["The run has ended.", sentence, ...run.problems].join(" "), kind];
}

export function showAnswer(run) {
  const any = run.answer.length > 0;
  element("answer-part").hidden = !any;
  if (!any) return;
  setText("answer", run.stage === "ended" ? "Answer" : "Answer so far");
  replace(element("answer-lines"), run.answer, (line) => made("p", line));
  element("report-link").hidden = !run.report;
  if (run.report) element("report-link").firstElementChild.href = run.report;
  setText("folder", run.folder);
}

export function showButtons(run) {
  element("stop").hidden = !run.can_stop;
  element("stopping").hidden = !run.stopped || run.stage === "ended";
  element("close").hidden = run.stage !== "ended";
}

async function post(path, button) {
  button.disabled = true;
  try {
    await fetch(path, { method: "POST" });
  } finally {
    button.disabled = false;
  }
}

export function wireButtons(onClosed) {
  const dialog = element("confirm");
  element("stop").addEventListener("click", () => dialog.showModal());
  element("keep-on").addEventListener("click", () => dialog.close());
  element("really-stop").addEventListener("click", () => {
    dialog.close();
    post("stop", element("stop"));
  });
  element("close").addEventListener("click", () => post("close", element("close")).then(onClosed, onClosed));
}

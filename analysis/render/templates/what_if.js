(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("points").textContent);
  const form = document.getElementById("what-if");
  const answer = document.getElementById("what-if-answer");
  const place = (point) => `${point.instance} at concurrency ${point.concurrency}`;
  const limits = () => data.limits
    .map((plan, row) => ({
      plan,
      row,
      statistic: form.elements[`statistic-${row}`].value,
      limit: parseFloat(form.elements[`limit-${row}`].value),
    }))
    .filter((wanted) => wanted.limit > 0);
  // The report has judged the plan's own limits, with intervals: what it found holds for them, a limit that was
  // met holds for wider ones too, and one that was missed for narrower ones. The rest goes by the shown figures.
  const judge = (point, wanted) => {
    const { plan, row } = wanted;
    if (plan.limit_ms !== null && wanted.statistic === plan.statistic) {
      const found = point.judgements[row];
      if (found === "met" && wanted.limit >= plan.limit_ms) { return "met"; }
      if (found === "missed" && wanted.limit <= plan.limit_ms) { return "missed"; }
      if (wanted.limit === plan.limit_ms) { return "unknown"; }
    }
    const value = (point.statistics[plan.metric] || {})[wanted.statistic] ?? null;
    if (value === null) { return "unknown"; }
    return value <= wanted.limit ? "met" : "missed";
  };
  const failing = (point, errors) => errors === data.error_percent
    ? point.too_many_errors
    : 100 * point.error_rate > errors;
  const sentence = (payload, wanted, errors) => {
    const points = data.points.filter((point) => point.payload === payload);
    const judged = points.map((point) => ({
      point,
      missed: failing(point, errors) || wanted.some((one) => judge(point, one) === "missed"),
      unknown: wanted.some((one) => judge(point, one) === "unknown"),
    }));
    const passing = judged.filter((one) => !one.missed && !one.unknown).map((one) => one.point)
      .sort((a, b) => a.order - b.order);
    const left = judged.filter((one) => !one.missed && one.unknown).length;
    const out = left ? ` ${left} of ${points.length} steps lack the samples for these statistics.` : "";
    const start = data.payloads.length > 1 ? `${payload}: ` : "";
    if (!passing.length) {
      return `${start}no measured step ${left ? "is known to meet" : "meets"} these limits.${out}`;
    }
    const best = passing[0];
    const assumed = data.assumed ? " (assumed price)" : "";
    const price = best.price === null ? "" : `${best.price} per 10,000 requests${assumed}, `;
    const next = passing[1] ? ` Next: ${place(passing[1])}.` : "";
    return `${start}${place(best)}: ${price}${best.rate} requests/min.${next}${out}`;
  };
  const update = () => {
    const errors = parseFloat(form.elements.errors.value) || 0;
    answer.textContent = data.payloads.map((payload) => sentence(payload, limits(), errors)).join(" ");
  };
  form.addEventListener("input", update);
  form.addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("what-if-box").hidden = false;
  update();
})();

(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("points").textContent);
  const form = document.getElementById("what-if");
  const answer = document.getElementById("what-if-answer");
  const metrics = ["ttft", "tpot", "e2e"];
  const place = (point) => `${point.instance} at concurrency ${point.concurrency}`;
  const cost = (point) => (point.usd === null ? 1 / (point.per_minute || 1e-9) : point.usd);
  const limits = () => metrics
    .map((metric) => ({
      metric,
      statistic: form.elements[`${metric}-statistic`].value,
      limit: parseFloat(form.elements[`${metric}-limit`].value),
    }))
    .filter((wanted) => wanted.limit > 0);
  const passes = (point, wanted, errors) => point.error_rate !== null && point.error_rate <= errors
    && wanted.every((w) => {
      const value = (point.statistics[w.metric] || {})[w.statistic];
      return value !== null && value !== undefined && value <= w.limit;
    });
  const unknown = (point, wanted) => wanted.some((w) => {
    const value = (point.statistics[w.metric] || {})[w.statistic];
    return value === null || value === undefined;
  });
  const sentence = (payload, wanted, errors) => {
    const points = data.points.filter((point) => point.payload === payload);
    const passing = points.filter((point) => passes(point, wanted, errors)).sort((a, b) => cost(a) - cost(b));
    const left = points.filter((point) => unknown(point, wanted)).length;
    const out = left ? ` ${left} of ${points.length} steps lack the samples for these statistics.` : "";
    const start = data.payloads.length > 1 ? `${payload}: ` : "";
    if (!passing.length) { return `${start}no measured step meets these limits.${out}`; }
    const best = passing[0];
    const assumed = data.assumed ? " (assumed price)" : "";
    const price = best.usd === null ? "" : `${best.price} per 10,000 requests${assumed}, `;
    const next = passing[1] ? ` Next: ${place(passing[1])}.` : "";
    return `${start}${place(best)}: ${price}${best.rate} requests/min.${next}${out}`;
  };
  const update = () => {
    const errors = (parseFloat(form.elements.errors.value) || 0) / 100;
    answer.textContent = data.payloads.map((payload) => sentence(payload, limits(), errors)).join(" ");
  };
  form.addEventListener("input", update);
  form.addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("what-if-box").hidden = false;
  update();
})();

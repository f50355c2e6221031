// Numbers and words as the report writes them.
export const missing = (value) => value === null || value === undefined;

/** Three significant digits. */
export const number = (value) => missing(value) ? "–" : value === 0 ? "0"
  : new Intl.NumberFormat("en-US", value < 1000
    ? { minimumSignificantDigits: 3, maximumSignificantDigits: 3 } : { maximumSignificantDigits: 3 }).format(value);
export const plain = (value) => missing(value) ? "–" : new Intl.NumberFormat("en-US", { maximumSignificantDigits: 4 }).format(value);
export const count = (value) => missing(value) ? "–" : Math.round(value).toLocaleString("en-US");
export const latency = (ms) => missing(ms) ? "–" : ms >= 1000 ? `${number(ms / 1000)} s` : `${number(ms)} ms`;
export const tick = (ms) => ms >= 1000 ? `${plain(ms / 1000)} s` : `${plain(ms)} ms`;
export const percent = (share) => missing(share) ? "–" : `${plain(share * 100)}%`;
export const dollars = (usd) => missing(usd) ? "–" : usd >= 1
  ? `$${usd.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`
  : usd === 0 ? "$0" : `$${number(usd)}`;
export const duration = (seconds) => {
  if (missing(seconds)) return "–";
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 90) return `${whole} s`;
  if (whole < 5400) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
  return `${Math.floor(whole / 3600)} h ${String(Math.floor(whole / 60) % 60).padStart(2, "0")} min`;
};
export const shortName = (step) => step.split("/").pop();

/** What arrives in an open loop, with its unit. */
export const arrivals = (state) => missing(state.turns_per_arrival) ? "requests/s" : "conversations/s";

export const PHASES = {
  start: "starting", ramp: "ramping up", warm_up: "warming up", measure: "measuring",
  tail: "waiting for the last measured requests", drain: "waiting for the last requests", done: "ended",
};

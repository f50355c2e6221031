// Charts of the live page. Each gets rows of points and draws some of their columns.

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** 14:05:30, by the clock of the browser. */
const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString("en-GB");

/** Shade the measurements and name the steps. */
function drawSteps(plot, steps, now) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  for (const step of steps) {
    if (step.measure_started_at === null) continue;
    const left = plot.valToPos(step.measure_started_at, "x", true);
    const right = plot.valToPos(step.measure_ended_at ?? now, "x", true);
    ctx.fillStyle = color("band");
    ctx.fillRect(left, bbox.top, right - left, bbox.height);
  }
  ctx.restore();
}

/**
 * A chart in a figure of its own.
 *
 * lines: [{ name, field, color, limit? }] where `field` is a column of the points, or a constant `limit`.
 */
export class Chart {
  constructor(parent, title, lines, { value, tick }, context) {
    this.title = title;
    this.lines = lines;
    this.format = value;
    this.tick = tick;
    this.context = context;
    this.figure = document.createElement("figure");
    const caption = document.createElement("figcaption");
    const name = document.createElement("strong");
    name.textContent = title;
    caption.append(name);
    this.legend = lines.map((line) => {
      const item = document.createElement("span");
      item.className = "legend";
      const mark = document.createElement("i");
      if (line.limit !== undefined) mark.className = "limit";
      mark.style.borderColor = `var(--${line.color})`;
      const text = document.createElement("span");
      item.append(mark, text);
      caption.append(item);
      return text;
    });
    this.holder = document.createElement("div");
    this.holder.setAttribute("role", "img");
    this.figure.append(caption, this.holder);
    parent.append(this.figure);
    this.data = [[], ...lines.map(() => [])];
    this.build();
    new ResizeObserver(() => this.resize()).observe(this.figure);
  }

  build() {
    this.plot?.destroy();
    const axis = { stroke: color("muted"), grid: { stroke: color("line"), width: 1 }, ticks: { show: false } };
    this.plot = new uPlot({
      width: Math.max(200, this.figure.clientWidth),
      height: 190,
      padding: [8, 28, 0, 0],
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, points: { size: 6 }, sync: { key: "live" } },
      scales: {
        x: { time: true, range: (_, low, high) => (low === null ? [0, 10] : [low, Math.max(high, low + 10)]) },
        y: { range: (_, low, high) => [0, Math.max(high || 0, 1e-9) * 1.08] },
      },
      axes: [
        { ...axis, space: 80, size: 32, values: (_, ticks) => ticks.map(clock) },
        { ...axis, size: 62, values: (_, ticks) => ticks.map(this.tick) },
      ],
      series: [
        {},
        ...this.lines.map((line) => ({
          stroke: color(line.color),
          width: line.limit === undefined ? 2 : 1.5,
          dash: line.limit === undefined ? line.dash : [6, 5],
          points: { show: line.limit === undefined ? undefined : false, size: 4 },
        })),
      ],
      hooks: {
        drawClear: [(plot) => drawSteps(plot, this.context.steps, this.context.now)],
        setCursor: [() => this.writeLegend()],
      },
    }, this.data, this.holder);
  }

  resize() {
    const width = this.figure.clientWidth;
    if (width > 0 && width !== this.plot.width) this.plot.setSize({ width, height: 190 });
  }

  update(points, columns) {
    const times = points.map((point) => point[columns.at]);
    const values = this.lines.map((line) =>
      line.limit === undefined ? points.map((point) => point[columns[line.field]]) : points.map(() => line.limit),
    );
    this.data = [times, ...values];
    this.plot.setData(this.data);
    this.writeLegend();
  }

  writeLegend() {
    const times = this.data[0];
    const at = this.plot?.cursor.idx ?? times.length - 1;
    const texts = this.lines.map((line, index) => {
      const value = line.limit ?? this.data[index + 1][at];
      const format = line.limit === undefined ? this.format : this.tick;
      return `${line.name} ${value === null || value === undefined ? "–" : format(value)}`;
    });
    texts.forEach((text, index) => { if (this.legend[index].textContent !== text) this.legend[index].textContent = text; });
    this.holder.setAttribute("aria-label", `${this.title} over time. Latest: ${texts.join(", ")}.`);
  }

  remove() {
    this.plot.destroy();
    this.figure.remove();
  }
}

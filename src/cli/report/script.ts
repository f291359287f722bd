/**
 * The script of the page: tooltips on the charts, the player of a denoising, and the copy button. It reads what it shows
 * from the page itself, so the page is complete without it.
 *
 * Consumed by the page, which puts it in as it stands; it is plain JavaScript for any browser of the last years. It only
 * ever writes text through `textContent`, because sample texts are not to be trusted.
 */

export const pageScript = `
"use strict";
const add = (parent, tag, text) => {
  const child = document.createElement(tag);
  if (text !== undefined) child.textContent = text;
  return parent.appendChild(child);
};

for (const plot of document.querySelectorAll(".plot")) {
  const svg = plot.querySelector("svg");
  const cross = svg.querySelector(".cross");
  const hits = [...svg.querySelectorAll(".hit")];
  if (hits.length === 0) continue;
  const texts = hits.map((hit) => {
    const title = hit.querySelector("title");
    title.remove();
    return title.textContent;
  });
  const tip = add(plot, "div");
  tip.className = "tip";
  tip.hidden = true;
  tip.setAttribute("role", "status");
  let shown = -1;
  const show = (index) => {
    shown = index;
    tip.hidden = index < 0;
    plot.classList.toggle("on", index >= 0);
    if (index < 0) return;
    const [heading, ...rows] = texts[index].split("\\n");
    tip.replaceChildren();
    add(tip, "b", heading);
    for (const row of rows) {
      const line = add(tip, "div");
      for (const part of row.split("\\t")) add(line, "span", part);
    }
    const x = Number(hits[index].dataset.x);
    cross.setAttribute("x1", x);
    cross.setAttribute("x2", x);
    const at = (x / svg.viewBox.baseVal.width) * plot.clientWidth;
    const beside = at + 14 + tip.offsetWidth <= plot.clientWidth ? at + 14 : at - 14 - tip.offsetWidth;
    tip.style.left = Math.max(0, Math.min(beside, plot.clientWidth - tip.offsetWidth)) + "px";
  };
  const under = (event) => hits.indexOf(event.target);
  svg.addEventListener("pointermove", (event) => show(under(event)));
  svg.addEventListener("pointerdown", (event) => show(under(event)));
  plot.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "mouse") show(-1);
  });
  document.addEventListener("pointerdown", (event) => {
    if (!plot.contains(event.target)) show(-1);
  });
  plot.tabIndex = 0;
  plot.setAttribute("role", "group");
  plot.setAttribute("aria-label", "Chart; read the values with the left and right arrow keys");
  plot.addEventListener("keydown", (event) => {
    const to = { ArrowRight: shown + 1, ArrowLeft: shown < 0 ? hits.length - 1 : shown - 1, Home: 0, End: hits.length - 1,
      Escape: -1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    show(event.key === "Escape" ? -1 : Math.max(0, Math.min(hits.length - 1, to)));
  });
  plot.addEventListener("blur", () => show(-1));
}

for (const card of document.querySelectorAll(".denoising")) {
  const player = card.querySelector(".player");
  const stage = card.querySelector(".stage");
  const [button, slider, output] = player.querySelector(".controls").children;
  const rows = [...card.querySelectorAll("tbody tr")];
  const scroll = card.querySelector(".scroll");
  let timer = 0;
  const draw = () => {
    const step = Number(slider.value);
    const [, time, ...cells] = rows[step].children;
    stage.replaceChildren();
    for (const cell of cells) add(stage, "span", cell.textContent).className = cell.className;
    output.textContent = "step " + (step + 1) + " of " + rows.length + ", time " + time.textContent;
    slider.setAttribute("aria-valuetext", output.textContent);
    rows.forEach((row, i) => row.classList.toggle("now", i === step));
    const head = scroll.querySelector("thead").offsetHeight;
    const top = rows[step].offsetTop - head;
    const bottom = rows[step].offsetTop + rows[step].offsetHeight;
    if (top < scroll.scrollTop) scroll.scrollTop = top;
    else if (bottom > scroll.scrollTop + scroll.clientHeight) scroll.scrollTop = bottom - scroll.clientHeight;
  };
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    button.textContent = "Play";
  };
  const play = () => {
    if (Number(slider.value) === rows.length - 1) slider.value = 0;
    draw();
    button.textContent = "Pause";
    timer = setInterval(() => {
      slider.value = Number(slider.value) + 1;
      draw();
      if (Number(slider.value) === rows.length - 1) stop();
    }, Math.max(140, Math.min(900, 7000 / rows.length)));
  };
  button.addEventListener("click", () => (timer ? stop() : play()));
  slider.addEventListener("input", () => {
    stop();
    draw();
  });
  button.hidden = slider.hidden = rows.length < 2;
  player.hidden = false;
  // The tallest step sets the height, so that the page does not move while it plays.
  const last = slider.value;
  let tallest = 0;
  rows.forEach((_, i) => {
    slider.value = i;
    draw();
    tallest = Math.max(tallest, stage.offsetHeight);
  });
  stage.style.minHeight = tallest + "px";
  slider.value = last;
  draw();
  scroll.scrollTop = 0;
}

for (const button of document.querySelectorAll(".copy")) {
  const table = button.closest(".card").querySelector("table");
  button.hidden = false;
  button.addEventListener("click", async () => {
    const lines = [...table.rows].map((row) => [...row.cells].map((cell) => cell.textContent.trim()).join("\\t"));
    try {
      await navigator.clipboard.writeText(lines.join("\\n"));
      button.textContent = "Copied";
    } catch {
      // Without the clipboard (a page from a file, in some browsers) the table is selected, to be copied by hand.
      getSelection().selectAllChildren(table);
      button.textContent = "Selected: copy it with your keyboard";
    }
    setTimeout(() => (button.textContent = "Copy table"), 3000);
  });
}
`;

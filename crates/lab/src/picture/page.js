const rows = new Map();
for (const row of document.querySelectorAll(".lines a")) {
  const id = row.hash.slice(1);
  rows.set(id, [...(rows.get(id) || []), row]);
}
const light = (id, on) =>
  [document.getElementById(id), ...rows.get(id)].forEach((element) => element.classList.toggle("hot", on));
for (const [id, lines] of rows) {
  for (const element of [document.getElementById(id), ...lines]) {
    element.addEventListener("mouseenter", () => light(id, true));
    element.addEventListener("mouseleave", () => light(id, false));
  }
  document.getElementById(id).addEventListener("click", () => lines[0].scrollIntoView({ block: "nearest" }));
}

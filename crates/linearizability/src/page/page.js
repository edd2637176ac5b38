for (const row of document.querySelectorAll("tr[data-call]")) {
  const both = [row, document.getElementById(row.dataset.call)];
  for (const element of both) {
    element.addEventListener("mouseenter", () => both.forEach((one) => one.classList.add("hot")));
    element.addEventListener("mouseleave", () => both.forEach((one) => one.classList.remove("hot")));
  }
}

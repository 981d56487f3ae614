// A word that has the focus or the pointer: what else it might have been, and where it looked.
(() => {
  // Gradio lays the page out bit by bit: it is shown once all is in its place. On a phone, where
  // what is said stands far below what was dropped, a new sheet is brought into view.
  let shown = "";
  new MutationObserver(() => {
    const sheet = [...document.querySelectorAll(".sheet")].find(one => one.offsetParent);
    if (sheet && !document.documentElement.classList.contains("placed"))
      setTimeout(() => document.documentElement.classList.add("placed"), 150);
    const token = sheet && sheet.dataset.token;
    if (!token || token === shown) return;
    shown = token;
    if (matchMedia("(max-width: 48rem)").matches) sheet.scrollIntoView({behavior: "smooth"});
  }).observe(document, {childList: true, subtree: true});

  const escape = text => Object.assign(document.createElement("i"), {textContent: text}).innerHTML;
  const HINT = "instead of";

  function rivals(word) {
    const rows = word.dataset.rivals.split("\n").filter(Boolean).map(line => line.split("\t"));
    return `<p><b>${escape(word.textContent)}</b> <span>${escape(word.dataset.p)}</span></p><ol>` +
      rows.map(([other, share, shown]) => `<li style="--share: ${+share}"><span>${escape(other)}` +
        `</span> <span>${escape(shown)}</span></li>`).join("") + "</ol>";
  }

  function draw(canvas, weights, boxes) {
    const pen = canvas.getContext("2d");
    if (!boxes) {
      const side = Math.round(Math.sqrt(weights.length));
      canvas.width = canvas.height = side;
      weights.forEach((weight, at) => {
        pen.fillStyle = `rgba(0, 0, 0, ${0.62 * (1 - weight / 255)})`;
        pen.fillRect(at % side, Math.floor(at / side), 1, 1);
      });
      return;
    }
    canvas.width = canvas.clientWidth * 2, canvas.height = canvas.clientHeight * 2;
    const place = ([left, top, right, bottom]) => [left * canvas.width, top * canvas.height,
      (right - left) * canvas.width, (bottom - top) * canvas.height];
    pen.fillStyle = "rgba(0, 0, 0, 0.6)";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.globalCompositeOperation = "destination-out";
    boxes.forEach((box, at) => {
      pen.fillStyle = `rgba(0, 0, 0, ${weights[at] / 255})`;
      pen.fillRect(...place(box));
    });
    pen.globalCompositeOperation = "source-over";
    pen.lineWidth = 4;
    boxes.forEach((box, at) => {
      pen.strokeStyle = `rgba(240, 140, 151, ${weights[at] < 64 ? 0 : weights[at] / 255})`;
      pen.strokeRect(...place(box));
    });
  }

  function show(word) {
    const card = word.closest(".card"), about = card.querySelector(".about");
    hide(card);
    word.classList.add("shown");
    if (about) {
      about.kept ??= about.innerHTML;
      about.innerHTML = `<p class="quiet what">${HINT}</p><div class="rivals">${rivals(word)}</div>`;
    }
    const weights = (word.dataset.looked.match(/../g) || []).map(two => parseInt(two, 16));
    if (weights.length) {
      const boxes = card.dataset.boxes;
      draw(card.querySelector("canvas"), weights,
        boxes && boxes.split(";").map(box => box.split(",").map(Number)));
      card.classList.add("looking");
    }
  }

  function hide(card) {
    card.querySelectorAll(".shown").forEach(word => word.classList.remove("shown"));
    card.classList.remove("looking");
    const about = card.querySelector(".about");
    if (about && about.kept) about.innerHTML = about.kept;
  }

  function focused(card) {
    const word = document.activeElement;
    return word && word.matches(".word") && card.contains(word) ? word : null;
  }

  const on = (event, action) => document.addEventListener(event, ({target, ...rest}) => {
    const word = target.closest && target.closest(".word");
    if (word) action(word, rest);
  });
  on("mouseover", show);
  on("focusin", show);
  on("mouseout", word => {
    const card = word.closest(".card"), other = focused(card);
    other ? show(other) : hide(card);
  });
  on("focusout", word => hide(word.closest(".card")));
  document.addEventListener("keydown", event => {
    const word = event.target.closest && event.target.closest(".word");
    const step = {ArrowRight: 1, ArrowLeft: -1, Home: -1e6, End: 1e6}[event.key];
    if (event.key === "Escape" && word) word.blur();
    if (!word || !step) return;
    const words = [...word.closest(".sentence").querySelectorAll(".word")];
    const next = words[Math.max(0, Math.min(words.length - 1, words.indexOf(word) + step))];
    words.forEach(one => one.tabIndex = one === next ? 0 : -1);
    next.focus();
    event.preventDefault();
  });
})();

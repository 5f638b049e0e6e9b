(function () {
  "use strict";
  var written = JSON.parse(document.getElementById("specs").textContent);
  var specs = whole(written.figures);
  var narrow = window.matchMedia("screen and (max-width: 700px)");
  var canvases = Array.prototype.slice.call(document.querySelectorAll("[data-figure]"));

  function whole(value) {
    if (Array.isArray(value)) { return value.map(whole); }
    if (value === null || typeof value !== "object") { return value; }
    if ("$rows" in value) { return whole(written.rows[value.$rows]); }
    return Object.keys(value).reduce(function (out, key) {
      out[key] = whole(value[key]);
      return out;
    }, {});
  }

  function draw(canvas) {
    var spec = specs[canvas.dataset.figure][narrow.matches ? "narrow" : "wide"];
    var place = document.createElement("div");
    return window.vegaEmbed(place, spec, {
      renderer: "svg", actions: false,
      tooltip: { theme: "light", sanitize: function (value) {
        return String(value).replace(/&/g, "&amp;").replace(/</g, "&lt;");
      } }
    }).then(function () {
      var svg = place.querySelector("svg");
      svg.setAttribute("role", "img");
      svg.setAttribute("aria-label", canvas.dataset.alt);
      canvas.replaceChildren(place);
      canvas.dataset.drawn = "true";
    });
  }

  function drawAll() {
    return canvases.reduce(function (before, canvas) {
      return before.then(function () { return draw(canvas); });
    }, Promise.resolve()).then(function () { document.body.dataset.ready = "true"; });
  }

  function unfold() {
    var place = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    var folded = place && place.closest("details");
    if (folded && !folded.open) { folded.open = true; place.scrollIntoView(); }
  }

  window.addEventListener("hashchange", unfold);
  unfold();
  narrow.addEventListener("change", drawAll);
  drawAll();
})();

(function () {
  "use strict";
  var specs = JSON.parse(document.getElementById("specs").textContent);
  var narrow = window.matchMedia("screen and (max-width: 700px)");
  var canvases = Array.prototype.slice.call(document.querySelectorAll("[data-figure]"));

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

  narrow.addEventListener("change", drawAll);
  drawAll();
})();

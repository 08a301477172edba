(function () {
  var every = Number(document.body.dataset.live), button = document.getElementById("live"), timer = 0;
  function busy() {
    return document.querySelector("main input:checked") || document.activeElement && document.activeElement.tagName === "SELECT";
  }
  function show() { button.textContent = timer ? "Stop updating" : "Update every " + (every || 5) + " s"; }
  function update() {
    if (busy() || document.hidden) { return; }
    fetch(location.href.replace(/;st=[A-Z]*/, ""), { credentials: "same-origin" }).then(function (answer) {
      return answer.ok ? answer.text() : Promise.reject();
    }).then(function (text) {
      var fresh = new DOMParser().parseFromString(text, "text/html").querySelector("main");
      if (fresh && !busy()) { document.querySelector("main").replaceWith(fresh); }
    }).catch(function () {});
  }
  function toggle(on) {
    clearInterval(timer);
    timer = on ? setInterval(update, (every || 5) * 1000) : 0;
    show();
  }
  button.hidden = false;
  button.addEventListener("click", function () { toggle(!timer); });
  toggle(every > 0);
})();

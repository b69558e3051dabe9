# SPDX-License-Identifier: Apache-2.0
"""The viewer in a real browser: headless Chromium."""
import json

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import servers

BROWSER = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
           "--disable-background-networking", "--window-size=1400,1000"]


def open_browser():
    options = Options()
    for argument in BROWSER:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver", port=servers.free_port()), options=options)
    driver.set_script_timeout(300)  # for machines that are busy; the default is 30 s
    return driver


class Page:
    """A page in the browser, with the browser's complaints and requests."""

    def __init__(self, browser, address, dark=False, fragment=""):
        """`address`: a URL, or a file's path."""
        url = address if isinstance(address, str) else f"file://{address}"
        self.browser = browser
        browser.get("about:blank")  # the page before may still ask for something
        browser.get_log("browser"), browser.get_log("performance")
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})
        browser.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": "file://", "storageTypes": "local_storage"})
        browser.get(f"{url}{fragment}")
        self.await_that("return document.documentElement.dataset.ready === 'yes'")

    def js(self, script, *arguments):
        return self.browser.execute_script(script, *arguments)

    def await_that(self, script):
        return servers.await_that(lambda: self.js(script), lambda: f"{script}\n{self.complaints()}", timeout=60)

    def complaints(self):
        return self.browser.get_log("browser")

    def requests(self):
        entries = [json.loads(e["message"])["message"] for e in self.browser.get_log("performance")]
        return [e["params"]["request"]["url"] for e in entries if e["method"] == "Network.requestWillBeSent"]

    def one(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector):
        """At once: a page that redraws itself may replace the element between two questions."""
        return self.js("const e = document.querySelector(arguments[0]); return e ? e.innerText : ''", selector)

    def press(self, *keys):
        webdriver.ActionChains(self.browser).send_keys(*keys).perform()

    def shown(self):
        """How many handshakes the page says the list has."""
        return int(self.one("#shown").text.split(" of ")[0].replace(",", ""))

    def search(self, words):
        field = self.one("#search")
        field.clear()
        field.send_keys(words, Keys.ENTER)
        self.await_that(f"return app.query === {json.dumps(words)}")
        return self.shown()

    def open_first(self):
        self.js("document.querySelector('#list').focus()")
        self.press("g", Keys.ENTER)
        return self.one("#detail").text

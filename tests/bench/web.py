# SPDX-License-Identifier: Apache-2.0
"""How long a browser takes to open a page."""
import time

from common import NotAvailable


def opens_in(page):
    """Seconds from navigation until the viewer reports that it is ready; the best of three."""
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError as error:
        raise NotAvailable(str(error)) from error
    options = webdriver.ChromeOptions()
    for argument in "--headless=new", "--no-sandbox", "--disable-dev-shm-usage":
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    try:
        return min(once(driver, page) for _ in range(3))
    finally:
        driver.quit()


def once(driver, page):
    start = time.monotonic()
    driver.get(f"file://{page}")
    while not driver.execute_script("return document.documentElement.dataset.ready === 'yes'"):
        if time.monotonic() - start > 60:
            raise NotAvailable("the page does not get ready")
        time.sleep(0.01)
    return time.monotonic() - start

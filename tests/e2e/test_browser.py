"""A page of another origin in Chromium: it can read every answer of ours, and sees clean media."""

import pytest

from support import specimens
from support.attachments import SCANNER, encrypted_file
from support.browser import Browser
from support.homeserver import upload

V1 = "/_matrix/client/v1/media"
UPLOAD = "/_matrix/media/v3/upload"

by_either = pytest.mark.parametrize("way", ["byFetch", "byXhr"])


def ask(page: Browser, way: str, url: str, **parameters) -> dict:
    return page.call(way, {"url": url, **parameters})


def assert_readable(result: dict, status: int, errcode: str) -> None:
    """A browser that finds no CORS headers tells its page nothing but that something failed."""
    assert "failed" not in result, result
    assert (result["status"], result["type"], result["json"].get("errcode")) == (status, "application/json", errcode)
    assert result["json"]["error"]


@pytest.fixture(scope="module")
def infected(stack):
    return upload(stack.synapse.url, stack.alice, specimens.infected())


@by_either
def test_refusal_of_an_infected_download_can_be_read(page, stack, infected, way):
    result = ask(page, way, f"{stack.url}{V1}/download/{infected.path}", token=stack.bob.token)
    assert_readable(result, 403, "M_FORBIDDEN")


@by_either
def test_refusal_of_an_infected_upload_can_be_read(page, stack, way):
    text = specimens.infected().decode()
    result = ask(page, way, f"{stack.url}{UPLOAD}", method="POST", token=stack.alice.token, text=text)
    assert_readable(result, 403, "M_FORBIDDEN")


@by_either
@pytest.mark.parametrize(
    ("method", "target", "status", "errcode"),
    [
        ("GET", f"{V1}/download/hs.test/doesnotexist", 404, "M_NOT_FOUND"),
        ("GET", f"{V1}/nonsense", 404, "M_UNRECOGNIZED"),
        ("GET", "/_matrix/media/unstable/admin/export/1/part/1", 404, "M_UNRECOGNIZED"),
        ("DELETE", f"{V1}/download/hs.test/doesnotexist", 405, "M_UNRECOGNIZED"),
        ("GET", UPLOAD, 405, "M_UNRECOGNIZED"),
    ],
)
def test_other_refusals_can_be_read(page, stack, way, method, target, status, errcode):
    result = ask(page, way, f"{stack.url}{target}", method=method, token=stack.bob.token)
    assert_readable(result, status, errcode)


@by_either
@pytest.mark.parametrize("token", [None, "syt_bm9ib2R5_nobody"], ids=["missing", "unknown"])
def test_refusal_of_a_token_can_be_read(page, stack, infected, way, token):
    errcode = "M_UNKNOWN_TOKEN" if token else "M_MISSING_TOKEN"
    result = ask(page, way, f"{stack.url}{V1}/download/{infected.path}", token=token)
    assert_readable(result, 401, errcode)
    result = ask(page, way, f"{stack.url}{UPLOAD}", method="POST", token=token, text="text")
    assert_readable(result, 401, errcode)


@by_either
def test_refusal_of_an_upload_that_is_too_large_can_be_read(page, stack, way):
    size = 101 * specimens.MIB
    result = ask(page, way, f"{stack.url}{UPLOAD}", method="POST", token=stack.alice.token, zeros=size)
    assert_readable(result, 413, "M_TOO_LARGE")


@by_either
def test_request_to_try_later_can_be_read(page, fresh, way):
    media = upload(fresh.synapse.url, fresh.alice, specimens.clean())
    fresh.clamd.stop()
    result = ask(page, way, f"{fresh.url}{V1}/download/{media.path}", token=fresh.bob.token)
    assert_readable(result, 503, "M_UNKNOWN")
    result = ask(page, way, f"{fresh.url}{UPLOAD}", method="POST", token=fresh.alice.token, text="text")
    assert_readable(result, 503, "M_UNKNOWN")


@by_either
def test_verdicts_of_the_scanner_can_be_read(page, stack, way):
    file = encrypted_file(stack.url, stack.alice, specimens.infected())
    options = {"method": "POST", "token": stack.bob.token, "headers": {"Content-Type": "application/json"}}
    document = page.driver.execute_script("return JSON.stringify({file: arguments[0]})", file)
    scan, download = (
        ask(page, way, f"{stack.url}{SCANNER}/{verb}", text=document, **options)
        for verb in ("scan_encrypted", "download_encrypted")
    )
    assert (scan.get("status"), scan["json"]["clean"]) == (200, False), scan
    assert (download.get("status"), download["json"]["reason"]) == (403, "MCS_MEDIA_NOT_CLEAN"), download


def test_progress_of_an_upload_is_reported(page, stack):
    size = 24 * specimens.MIB
    result = ask(page, "byXhr", f"{stack.url}{UPLOAD}", method="POST", token=stack.alice.token, zeros=size)
    assert result.get("status") == 200, result
    assert result["json"]["content_uri"].startswith("mxc://hs.test/")
    # One event comes at the end of any body; more than that only while it is on its way.
    assert result["progress"] > 1


def test_clean_download_is_read_whole(page, stack):
    media = upload(stack.url, stack.alice, specimens.clean(150_000))
    result = ask(page, "byFetch", f"{stack.url}{V1}/download/{media.path}", token=stack.bob.token)
    assert (result.get("status"), result["size"]) == (200, 150_000), result


@pytest.mark.parametrize("route", ["download/{}", "thumbnail/{}?width=32&height=32&method=crop"])
def test_clean_picture_is_shown(page, stack, route):
    media = upload(stack.url, stack.alice, specimens.png(64, 64), content_type="image/png")
    url = f"{stack.url}{V1}/{route.format(media.path)}"
    width = 32 if "thumbnail" in route else 64
    assert page.call("fetchedImage", {"url": url, "token": stack.bob.token}) == {"width": width}


def test_picture_element_shows_clean_legacy_media_and_no_infected_one(page, legacy):
    clean = upload(legacy.url, legacy.alice, specimens.png(64, 64), content_type="image/png")
    url = f"{legacy.url}/_matrix/media/v3/download/"
    assert page.call("image", url + clean.path) == {"width": 64}
    picture = specimens.png(64, 64) + specimens.marker()
    bad = upload(legacy.synapse.url, legacy.alice, picture, content_type="image/png")
    assert page.call("image", f"{legacy.synapse.url}/_matrix/media/v3/download/{bad.path}") == {"width": 64}
    assert page.call("image", url + bad.path) == {"failed": "no picture"}


# The same through the front proxies, over HTTP/2.


def test_refusals_behind_a_front_proxy_can_be_read(page, front, stack, infected):
    result = ask(page, "byFetch", f"{front.url}{V1}/download/{infected.path}", token=stack.bob.token)
    assert_readable(result, 403, "M_FORBIDDEN")
    size = 101 * specimens.MIB
    result = ask(page, "byXhr", f"{front.url}{UPLOAD}", method="POST", token=stack.alice.token, zeros=size)
    assert_readable(result, 413, "M_TOO_LARGE")
    assert_readable(ask(page, "byFetch", f"{front.url}/nowhere"), 404, "M_UNRECOGNIZED")


def test_progress_of_an_upload_behind_a_front_proxy_is_reported(page, front, stack):
    size = 24 * specimens.MIB
    result = ask(page, "byXhr", f"{front.url}{UPLOAD}", method="POST", token=stack.alice.token, zeros=size)
    assert result.get("status") == 200, result
    assert result["progress"] > 1


def test_absence_of_lazaret_can_be_read_behind_a_front_proxy(page, fresh_front, fresh):
    fresh.lazaret.stop()
    result = ask(page, "byFetch", f"{fresh_front.url}/_matrix/client/versions")
    assert_readable(result, result["status"], "M_UNKNOWN")
    assert result["status"] in (502, 503)

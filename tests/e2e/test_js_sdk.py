"""matrix-js-sdk and its attachment encryption through Lazaret: all works, and a refusal can be told from a failure."""

import pytest

from support import js, specimens
from support.attachments import mxc_of
from support.homeserver import Mxc, upload


def test_login_with_a_password(stack):
    result = js.run_one(stack.url, None, "login", mxid=stack.alice.mxid, password=stack.alice.password)
    assert result == {"user_id": stack.alice.mxid}


def test_clean_picture_goes_up_and_comes_back_with_its_thumbnail(stack):
    picture = specimens.png()
    uploaded = js.run_one(stack.url, stack.alice, "upload", data=js.encoded(picture), type="image/png")
    assert "mxc" in uploaded, uploaded
    mxc = uploaded["mxc"]
    downloaded, thumbnail = js.run(
        stack.url, stack.bob, {"step": "download", "mxc": mxc}, {"step": "thumbnail", "mxc": mxc}
    )
    assert (downloaded["status"], downloaded["type"]) == (200, "image/png")
    assert js.decoded(downloaded) == picture
    assert (thumbnail["status"], thumbnail["type"]) == (200, "image/png")
    assert js.decoded(thumbnail) != picture


def test_encrypted_attachment_is_sent_and_read(stack):
    plaintext = specimens.clean(200_000)
    uploaded = js.run_one(stack.url, stack.alice, "upload_encrypted", data=js.encoded(plaintext))
    assert "file" in uploaded, uploaded
    file = uploaded["file"]
    native, scanner = js.run(
        stack.url,
        stack.bob,
        {"step": "download_and_decrypt", "file": file},
        {"step": "scanner", "verb": "download_encrypted", "file": file},
    )
    assert js.decoded(native, "plaintext") == plaintext
    assert js.decoded(scanner, "plaintext") == plaintext


def test_infected_upload_is_an_error_that_says_why(stack):
    data = specimens.infected()
    result = js.run_one(stack.url, stack.alice, "upload", data=js.encoded(data), type="image/png")
    error = result["error"]
    assert (error["errcode"], error["httpStatus"]) == ("M_FORBIDDEN", 403), error
    # The SDK fills this from our JSON, if it gets to read it.
    assert error["data"]["error"] and error["data"]["error"] in error["message"]
    assert stack.synapse.files_holding(data) == []


@pytest.mark.parametrize("step", ["download", "thumbnail"])
def test_infected_download_is_refused_with_json(stack, step):
    # An infected picture, so that there is a thumbnail to ask for.
    picture = specimens.png() + specimens.marker()
    media = upload(stack.synapse.url, stack.alice, picture, content_type="image/png")
    read, result = js.run(
        stack.url, stack.bob, {"step": "download", "mxc": str(media)}, {"step": step, "mxc": str(media)}
    )
    assert read["status"] == result["status"] == 403
    assert result["json"]["errcode"] == "M_FORBIDDEN"
    assert isinstance(result["json"]["error"], str)


def test_infected_attachment_is_refused_by_the_scanner_and_opaque_on_the_native_route(stack):
    plaintext = specimens.infected()
    uploaded = js.run_one(stack.url, stack.alice, "upload_encrypted", data=js.encoded(plaintext))
    assert "file" in uploaded, "ciphertext cannot be judged without its key, so the upload passes"
    file = uploaded["file"]
    scan, download = js.run(
        stack.url,
        stack.bob,
        {"step": "scanner", "verb": "scan_encrypted", "file": file},
        {"step": "scanner", "verb": "download_encrypted", "file": file},
    )
    assert (scan["status"], scan["json"]["clean"]) == (200, False)
    assert download["status"] == 403
    assert download["json"]["reason"] == "MCS_MEDIA_NOT_CLEAN"
    assert mxc_of(file).server == "hs.test"


def test_missing_media_is_reported_as_missing(stack):
    result = js.run_one(stack.url, stack.bob, "download", mxc=str(Mxc("hs.test", "doesnotexist")))
    assert (result["status"], result["json"]["errcode"]) == (404, "M_NOT_FOUND")


def test_media_config_names_an_upload_limit(stack):
    result = js.run_one(stack.url, stack.bob, "config")
    assert result["m.upload.size"] > 0

"""The bypass catalogue through nginx and HAProxy: whatever these make of a request, no infected byte comes back.

The homeserver behind is one that answers every address with the infected file, so each request that is taken for
something else than media shows. Requests are written raw, since client libraries would clean them up.
"""

import pytest

from support import raw, specimens
from support.raw import status_of

MEDIA = "hs.test/abcDEF"
V1 = "/_matrix/client/v1/media"
PASSED = "/_matrix/client/versions"

OTHER_SPELLINGS = {
    # Row 1: the same media under an encoded name.
    "encoded media id": f"{V1}/download/hs.test/%61bcDEF",
    "encoded server name": f"{V1}/download/hs%2Etest/abcDEF",
    "twice encoded media id": f"{V1}/download/hs.test/%2561bcDEF",
    "encoded slash": f"{V1}/download/hs.test%2FabcDEF",
    # Row 2: what decoding, merging or ignoring makes a media path of.
    "encoded fixed part": f"/_matrix/client/v1/%6dedia/download/{MEDIA}",
    "encoded prefix": f"/%5Fmatrix/client/v1/media/download/{MEDIA}",
    "slash before": f"/{V1}/download/{MEDIA}",
    "slash within": f"/_matrix/client//v1/media/download/{MEDIA}",
    "slash after the route": f"{V1}/download//{MEDIA}",
    "dot": f"/_matrix/./client/v1/media/download/{MEDIA}",
    "dots": f"/_matrix/client/v3/../v1/media/download/{MEDIA}",
    "dots out of another prefix": f"/_synapse/client/../../_matrix/client/v1/media/download/{MEDIA}",
    "encoded dots": f"/_matrix/client/v3/%2e%2e/v1/media/download/{MEDIA}",
    "encoded slash between fixed parts": f"/_matrix/client/v1/media%2Fdownload/{MEDIA}",
    "path parameter": f"/_matrix/client/v1/media;v=1/download/{MEDIA}",
    "backslashes": f"/_matrix\\client\\v1\\media\\download\\{MEDIA}",
    "upper case": f"/_matrix/client/v1/MEDIA/download/{MEDIA}",
    "upper-case prefix": f"/_MATRIX/client/v1/media/download/{MEDIA}",
    # Rows 3 and 4: the optional last segment.
    "trailing slash": f"{V1}/download/{MEDIA}/",
    "file name": f"{V1}/download/{MEDIA}/report.pdf",
    "file name with a slash": f"{V1}/download/{MEDIA}/x%2Fy",
    "file name of dots": f"{V1}/download/{MEDIA}/..",
    "file name with a line end": f"{V1}/download/{MEDIA}/x%0d%0aX:y",
    "file name with a NUL": f"{V1}/download/{MEDIA}/x%00y",
    # Row 5: other addresses of the same bytes.
    "v3": f"/_matrix/media/v3/download/{MEDIA}",
    "r0": f"/_matrix/media/r0/download/{MEDIA}",
    "v1": f"/_matrix/media/v1/download/{MEDIA}",
    "unknown version": f"/_matrix/media/v9/download/{MEDIA}",
    "unstable": f"/_matrix/client/unstable/org.matrix.msc3916/media/download/{MEDIA}",
    "federation": "/_matrix/federation/v1/media/download/abcDEF",
    "unstable federation": "/_matrix/federation/unstable/org.matrix.msc3916.v2/media/download/abcDEF",
    "another repository's own": f"/_matrix/media/unstable/io.t2bot.media/local_copy/{MEDIA}",
    "another repository's export": "/_matrix/media/unstable/admin/export/1/part/1",
    # Row 6: a thumbnail that is the original.
    "huge thumbnail": f"{V1}/thumbnail/{MEDIA}?width=100000&height=100000&method=scale",
    # Row 7, in part.
    "fragment": f"{V1}/download/{MEDIA}#x",
    "fragment that ends another path": f"{PASSED}#/../../client/v1/media/download/{MEDIA}",
    "media path in a fragment": f"/x#{V1}/download/{MEDIA}",
}

spellings = pytest.mark.parametrize("target", OTHER_SPELLINGS.values(), ids=OTHER_SPELLINGS.keys())


def test_what_is_not_media_comes_back_infected(send, h2, homeserver):
    """Without this, nothing below would prove anything."""
    answer = send(raw.request("GET", PASSED))
    assert status_of(answer) == 200 and homeserver.media in answer
    assert h2.get(PASSED).body == homeserver.media


def test_fragment_is_not_cut_off_and_passed(send, homeserver):
    before = len(homeserver.seen)
    assert status_of(send(raw.request("GET", f"{PASSED}#media"))) in (400, 404)
    assert len(homeserver.seen) == before


@spellings
def test_no_spelling_brings_infected_media_over_http_1(send, target):
    answer = send(raw.request("GET", target, "Authorization: Bearer any"))
    assert specimens.eicar() not in answer
    assert 400 <= status_of(answer) < 500, answer


@spellings
def test_no_spelling_brings_infected_media_over_http_2(h2, target):
    answer = h2.ask(raw.head(target, token="any"))
    assert specimens.eicar() not in answer.body
    assert answer.status is None or 400 <= answer.status < 500, answer


@pytest.mark.parametrize(
    "target",
    [
        "/_matrix/client/v3/directory/room/%23nowhere%3Ahs.test?via=a%2Fb&via=%C3%A9",
        "/_matrix/client/v3/rooms/!r%3ahs.test/state/m.x/%2e%2e%2F%41",
        "/_matrix/client/v3/profile/@a:hs.test/?a=/../b//c",
        "/_matrix/federation/v1/event/$a%2Bb+c~d",
        "/_synapse/client/pick_username//x/",
    ],
)
def test_path_and_query_arrive_as_they_were_sent(send, h2, homeserver, target):
    """A signature of federation covers them to the letter."""
    send(raw.request("GET", target))
    assert homeserver.targets()[-1] == target
    h2.get(target)
    assert homeserver.targets()[-2:] == [target, target]


@pytest.mark.parametrize("method", ["get", "Get", "GETT", "CONNECT", "TRACE", "PROPFIND"])
def test_no_other_method_brings_infected_media(send, method):
    answer = send(raw.request(method, f"{V1}/download/{MEDIA}"))
    assert specimens.eicar() not in answer
    assert status_of(answer) in (400, 404, 405, 501), answer


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("path", [f"{V1}/download/{MEDIA}", f"/_matrix//client/v1/media/download/{MEDIA}"])
def test_absolute_form_brings_no_infected_media(send, scheme, path):
    answer = send(raw.request("GET", f"{scheme}://hs.test{path}"))
    assert specimens.eicar() not in answer
    assert 400 <= status_of(answer) < 500, answer


HOSTS = {"same": "hs.test", "other": "evil.test"}


@pytest.mark.parametrize("second", HOSTS.values(), ids=HOSTS.keys())
def test_two_hosts_are_one_too_many(send, homeserver, second):
    before = len(homeserver.seen)
    answer = send(raw.request("GET", f"{V1}/download/{MEDIA}", f"Host: {second}"))
    assert specimens.eicar() not in answer
    assert 400 <= status_of(answer) < 500, answer
    assert all(seen.headers.get_all("Host") == ["hs.test"] for seen in homeserver.seen[before:])

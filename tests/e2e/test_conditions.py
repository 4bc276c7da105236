"""Parts, conditions, HEAD and compression: what leaves is always of a whole file that was judged."""

import gzip

import pytest

from support import specimens, wire
from support.homeserver import Mxc, upload

DOWNLOAD = "/_matrix/client/v1/media/download"
SIZE = 200_000

known_or_not = pytest.mark.parametrize("known", [False, True], ids=["scanned now", "verdict known"])


class File:
    """A file in Synapse and how Bob asks for it."""

    def __init__(self, stack, data: bytes, *, known: bool = True, base: str | None = None, **options):
        self.stack, self.data, self.base = stack, data, base or stack.url
        self.media: Mxc = upload(stack.synapse.url, stack.alice, data, **options)
        if known:
            self.get()

    def get(self, method: str = "GET", **headers: str) -> wire.Reply:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        target = f"{DOWNLOAD}/{self.media.path}"
        return wire.request(self.base, method, target, token=self.stack.bob.token, headers=fields)


@known_or_not
@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=10-19", 10, 19),
        ("bytes=0-0", 0, 0),
        ("bytes=0-", 0, SIZE - 1),
        ("bytes=199990-", 199_990, SIZE - 1),
        ("bytes=-5", SIZE - 5, SIZE - 1),
        ("bytes=150000-9999999", 150_000, SIZE - 1),
    ],
)
def test_part_of_a_clean_file_has_the_right_bytes(stack, asked, first, last, known):
    file = File(stack, specimens.clean(SIZE), known=known)
    reply = file.get(Range=asked)
    assert reply.status == 206, reply
    assert reply.headers["Content-Range"] == f"bytes {first}-{last}/{SIZE}"
    assert int(reply.headers["Content-Length"]) == last - first + 1
    assert reply.body == file.data[first : last + 1]


@known_or_not
@pytest.mark.parametrize("asked", ["bytes=0-9", "bytes=-5", "bytes=68-", "bytes=9999999-", "bytes=1-2,4-5"])
def test_no_part_of_an_infected_file_is_given(stack, asked, known):
    file = File(stack, specimens.clean(SIZE) + specimens.marker(), known=known)
    wire.assert_matrix_error(file.get(Range=asked), 403, "M_FORBIDDEN")


@pytest.mark.parametrize("asked", ["bytes=9-1", "bytes=x-y", "pages=1-2", "bytes=", "0-9"])
def test_range_that_means_nothing_gets_the_whole_file(stack, asked):
    file = File(stack, specimens.clean(SIZE))
    reply = file.get(Range=asked)
    assert reply.status == 200, reply
    assert reply.body == file.data


def test_range_beyond_the_end_cannot_be_satisfied(stack):
    file = File(stack, specimens.clean(SIZE))
    reply = file.get(Range=f"bytes={SIZE}-")
    assert reply.status == 416, reply
    assert reply.headers["Content-Range"] == f"bytes */{SIZE}"


def test_part_is_given_only_of_the_version_that_if_range_names(stack):
    file = File(stack, specimens.clean(SIZE))
    tag = file.get().headers["ETag"]
    assert file.get(Range="bytes=5-9", If_Range=tag).body == file.data[5:10]
    assert file.get(Range="bytes=5-9", If_Range='"another"').body == file.data


@known_or_not
@pytest.mark.parametrize("theirs", ["1", '"1"', 'W/"1"'])
def test_synapse_s_constant_tag_never_makes_an_answer_empty(stack, theirs, known):
    file = File(stack, specimens.clean(SIZE), known=known)
    reply = file.get(If_None_Match=theirs)
    assert reply.status == 200, reply
    assert reply.body == file.data


def test_synapse_itself_gives_304_for_its_constant_tag(stack):
    """The one above proves something only as long as this is so."""
    file = File(stack, specimens.clean(), base=stack.synapse.url)
    assert file.get(If_None_Match="1").status == 304


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}'])
def test_our_tag_spares_who_has_the_file_another_transfer(stack, form):
    file = File(stack, specimens.clean(SIZE))
    tag = file.get().headers["ETag"]
    assert tag.startswith('"') and tag.endswith('"') and len(tag) > 20, f"not a strong tag of the content: {tag}"
    for method in ("GET", "HEAD"):
        reply = file.get(method, If_None_Match=form.format(tag))
        assert reply.status == 304, reply
        assert reply.headers["ETag"] == tag
        assert reply.body == b""


def test_any_copy_is_not_told_that_it_is_current(stack):
    """It may be from before a verdict changed."""
    assert File(stack, specimens.clean(SIZE)).get(If_None_Match="*").status == 200


def test_tags_tell_files_apart(stack):
    one, other = File(stack, specimens.clean(SIZE)), File(stack, specimens.clean(SIZE))
    tag = one.get().headers["ETag"]
    assert other.get().headers["ETag"] != tag
    assert other.get(If_None_Match=tag).body == other.data


def test_copy_is_not_confirmed_once_the_verdict_has_changed(fresh):
    needle = specimens.unique_tag()
    file = File(fresh, specimens.clean(SIZE) + needle)
    tag = file.get().headers["ETag"]
    assert file.get(If_None_Match=tag).status == 304
    fresh.clamd.learn("Lazaret.Test.Learned", needle, file.data)
    fresh.lazaret.forget_verdicts()
    for headers in ({"If_None_Match": tag}, {"Range": "bytes=0-9"}, {}):
        wire.assert_matrix_error(file.get(**headers), 403, "M_FORBIDDEN")


@known_or_not
def test_head_says_what_get_would(stack, known):
    file = File(stack, specimens.clean(SIZE), known=known, content_type="text/plain", filename="notes.txt")
    head, get = file.get("HEAD"), file.get()
    assert head.status == get.status == 200
    assert head.body == b""
    assert int(head.headers["Content-Length"]) == SIZE
    for name in ("Content-Type", "Content-Disposition", "ETag", "Content-Security-Policy", "Cache-Control"):
        assert head.headers[name] == get.headers[name], name


def test_head_of_what_is_not_there_is_404(stack):
    reply = wire.request(stack.url, "HEAD", f"{DOWNLOAD}/hs.test/doesnotexist", token=stack.bob.token)
    assert reply.status == 404
    assert reply.body == b""


@pytest.fixture
def compressing(stack, lazaret_with) -> str:
    """A Lazaret before a Synapse that compresses for whoever asks; Synapse's own word for it is taken first."""
    file = File(stack, specimens.clean(SIZE), known=False, base=stack.synapse.gzip_url)
    direct = file.get(Accept_Encoding="gzip")
    assert direct.headers["Content-Encoding"] == "gzip", "Synapse does not compress: this proves nothing"
    assert gzip.decompress(direct.body) == file.data
    return lazaret_with(stack.synapse, {"homeserver": {"url": stack.synapse.gzip_url}}).url


@pytest.mark.parametrize("accepted", [None, "gzip", "br, gzip;q=1, *;q=0"])
@known_or_not
def test_compressing_synapse_does_not_change_what_arrives(stack, compressing, accepted, known):
    file = File(stack, specimens.clean(SIZE), known=known, base=compressing, content_type="text/plain")
    reply = file.get(Accept_Encoding=accepted) if accepted else file.get()
    assert reply.status == 200, reply
    assert reply.headers.get("Content-Encoding", "identity") == "identity"
    assert int(reply.headers["Content-Length"]) == SIZE
    assert reply.body == file.data


@known_or_not
def test_compressing_synapse_hides_no_infected_file(stack, compressing, known):
    file = File(stack, specimens.clean(SIZE) + specimens.marker(), known=known, base=compressing)
    for headers in ({"Accept_Encoding": "gzip"}, {"Accept_Encoding": "gzip", "Range": "bytes=0-9"}, {}):
        wire.assert_matrix_error(file.get(**headers), 403, "M_FORBIDDEN")

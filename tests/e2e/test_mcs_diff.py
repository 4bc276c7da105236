"""Lazaret beside the Matrix Content Scanner: every difference between their answers has a reason."""

from collections.abc import Iterator

import pytest

import mcs_diff
from support import specimens
from support.attachments import encrypted_file, public_key
from support.homeserver import upload
from support.mcs.bodies import described_by, post, sealed_by
from support.mcs.cases import THUMBNAIL, Case, get
from support.mcs.compare import Scanner, differences
from support.mcs.quirks import Quirky
from support.mcs.service import VERSIONS, Mcs


@pytest.mark.parametrize(("version", "strict"), [*((version, False) for version in VERSIONS), ("1.4.1", True)])
def test_every_difference_to_mcs_has_a_reason_and_every_reason_a_difference(version, strict, workdir):
    directory = workdir / f"mcs-{version}-{strict}"
    assert mcs_diff.report(version, strict, directory), "see the table that was printed"


def _cases(stack) -> Iterator[Case]:
    """Sound requests. 1.0.8 sends no token, so there is nothing here that only a token opens."""
    base, alice = stack.synapse.url, stack.alice
    token = stack.bob.token
    for kind, data in (("clean", specimens.clean(20_000)), ("infected", specimens.infected())):
        media = upload(base, alice, data)
        file = encrypted_file(base, alice, data)
        for route in ("scan", "download"):
            yield Case(f"{route} of {kind} media", get(f"{route}/{media.path}", token=token), data)
            for how, body in (("described", described_by(file)), ("sealed", sealed_by(file))):
                yield Case(f"{route}_encrypted of {kind} media, {how}", post(f"{route}_encrypted", body, token=token))
    yield Case("absent media", get("download/hs.test/absent", token=token))


def _authenticated(stack) -> Iterator[Case]:
    """What 1.0.8 does not know."""
    picture = upload(stack.synapse.url, stack.alice, specimens.png(), content_type="image/png")
    yield Case("thumbnail", get(f"thumbnail/{picture.path}{THUMBNAIL}", token=stack.bob.token))
    yield Case("thumbnail without a size", get(f"thumbnail/{picture.path}", token=stack.bob.token))
    yield Case("a token that nobody has", get(f"download/{picture.path}", token="nobody's"))
    yield Case("no token", get(f"download/{picture.path}", token=None))


@pytest.mark.parametrize(("version", "homeserver"), [("1.0.8", "legacy"), ("1.4.1", "stack")])
def test_before_synapse_sound_requests_get_the_answers_of_mcs(version, homeserver, request, workdir, clamd):
    stack = request.getfixturevalue(homeserver)
    cases = [*_cases(stack), *(_authenticated(stack) if version != "1.0.8" else ())]
    mcs = Mcs(workdir / f"mcs-{version}-synapse", version, stack.synapse.url, clamd)
    with mcs_diff.running(mcs):
        scanners = [Scanner(it.name, it.url, public_key(it.url)) for it in (mcs, stack.lazaret)]
        found = [it for case in cases for it in differences(case, *scanners, Quirky()) if it.aspect == "answer"]
    assert found == []

"""Answers of both, as regular expressions for the table of reasons."""

_NOT_CLEAN = "403 reason=MCS_MEDIA_NOT_CLEAN info="
FAILED = "502 reason=MCS_MEDIA_REQUEST_FAILED info="
UPSTREAM = FAILED + "The remote server responded with an error"
CRASH = "500 reason=M_UNKNOWN info=Internal Server Error"
CLEAN = "200 clean=True info=File is clean"
ROUTING = "404 errcode=M_UNRECOGNIZED error=Unrecognized request"
MALFORMED = f"(200 clean=False info=|{_NOT_CLEAN})Malformed media ID"
SERVED = f"({CLEAN}|200 the file|200 \\d+ other bytes)"
ADDRESS = (
    r"(scan|download|thumbnail) (of (\.\.|%2E|mcs).*[/%].*)"
    "|(file|download_encrypted) with url .*|sealed content is dots"
)
JSON = "400 reason=MCS_MALFORMED_JSON info=.*"
UNDECRYPTABLE = "400 reason=MCS_MEDIA_FAILED_TO_DECRYPT info=.*"
BROKEN = f"{UNDECRYPTABLE}|{JSON}|{CRASH}|404 .*|broken: .*"
VIRUS = r"(200 clean=False|403 reason=MCS_MEDIA_NOT_CLEAN) info=\*\*\*VIRUS DETECTED\*\*\*"

"""What goes wrong with a store, in one line that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from unweave.audio.sources import reason
from unweave.errors import UnweaveError
from unweave.models.addresses import without_keys

# Their libraries raise errors of their own beside OSError: no credentials, no connection, a proxy that is not there.
STORE_PACKAGES = ("adlfs", "aiobotocore", "aiohttp", "azure", "botocore", "fsspec", "gcsfs", "google", "s3fs")

NO_CREDENTIALS = {
    "NoCredentialsError",
    "PartialCredentialsError",
    "DefaultCredentialsError",
    "CredentialRetrievalError",
}
EXPIRED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"}
UNREACHABLE = {"EndpointConnectionError", "ConnectTimeoutError", "ConnectionClosedError", "ReadTimeoutError"}


@contextmanager
def store_failures(raised: type[UnweaveError], what: str) -> Iterator[None]:
    """Inside, whatever a store raises becomes ``raised``, with ``what`` could not be done and why in one line."""
    try:
        yield
    except UnweaveError:
        raise
    except Exception as error:
        if not isinstance(error, OSError) and type(error).__module__.split(".")[0] not in STORE_PACKAGES:
            raise
        raise raised(without_keys(f"{what}: {why(error)}")) from error


def why(error: BaseException) -> str:
    """The reason of a store's error in a few words."""
    name, code = type(error).__name__, store_code(error)
    if name in NO_CREDENTIALS:
        return (
            "no credentials were found; give them to the driver and to every worker, as environment variables "
            "(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), as a file, or as the role of the machine"
        )
    if code in EXPIRED:
        return "the credentials have expired; renew them and run this again, which goes on where it stopped"
    if code == "NoSuchBucket":
        return "there is no such bucket"
    if code in ("InvalidAccessKeyId", "SignatureDoesNotMatch"):
        return "the store does not know these credentials"
    if isinstance(error, PermissionError):
        return f"the store refuses access ({reason(error)}); the credentials may lack a permission or have expired"
    if name in UNREACHABLE:
        return f"the store cannot be reached ({reason(error)})"
    return " ".join(reason(error).split())


def store_code(error: BaseException) -> str:
    """The store's own code for ``error``, which s3fs keeps as the cause; empty where it has none."""
    for each in (error, error.__cause__):
        response = getattr(each, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code", ""))
    return ""

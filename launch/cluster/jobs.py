"""Ray's job API: who drives this process, and what the cluster knows of a run's jobs.

Nothing here is needed to know where a run stands: that is in the store.
"""

import contextlib
import logging
import os
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

from medgen.engine.codec import fingerprint
from medgen.engine.errors import ConfigError, StoreError
from medgen.launch.run.origin import MARK

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

TERMINAL = ("SUCCEEDED", "FAILED", "STOPPED")
HERE = "http://127.0.0.1:8265"
_NO_TOKEN = (
    "the cluster asks for a token ({status}). Set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH "
    "(a file with the token) or RAY_AUTH_TOKEN; whoever runs the cluster has it: `ray "
    "get-auth-token` on its head, or the Secret of KubeRay's cluster"
)
# Seconds to connect, and to wait for an answer: a forwarded port may lead nowhere.
_PATIENCE_S = (5.0, 15.0)
_UPLOAD_S = 600.0  # sending a whole body counts as connecting; a laptop's way out may be slow
# In its first seconds a cluster has nobody who starts jobs yet, and says so with an error.
_WHEN_READY = Retrying(
    stop=stop_after_delay(60),
    wait=wait_fixed(2),
    retry=retry_if_exception(lambda err: "available agent" in str(err)),
    reraise=True,
)


class NoDashboard(StoreError):
    """The job API of a cluster cannot be used; the store still can."""


def address(given: str | None) -> str:
    """The URL of the job API: as given, from the environment, or a port-forward to here.

    Raises:
        ConfigError: the address is no URL of a dashboard.
    """
    ray_address = os.environ.get("RAY_ADDRESS", "")
    found = given or os.environ.get("RAY_API_SERVER_ADDRESS")
    found = (found or (ray_address if ray_address.startswith("http") else HERE)).strip()
    if not _is_url(found):
        raise ConfigError(f"{found!r} is no address of the job API, such as {HERE}")
    return found.rstrip("/")


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        # A port that cannot be says so only when it is read.
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


class Cluster:
    """A cluster's jobs."""

    def __init__(self, url: str) -> None:
        """Connect.

        Raises:
            NoDashboard: nobody answers, or the token is missing or wrong.
        """
        self.url = url
        try:
            with _explain(url):
                self._client = _client(url)
        except (KeyError, TypeError, ValueError) as err:
            raise NoDashboard(f"what answers at {url} is no job API") from err
        # Ray tells of uploads and sockets; what matters of these, the errors here say.
        for name in ("ray", "ray.dashboard.modules.dashboard_sdk", "ray.dashboard.modules.job.sdk"):
            logging.getLogger(name).setLevel(logging.ERROR)

    def submit(self, job: str, entrypoint: str, env: dict[str, Any], cpus: float) -> bool:
        """Start a job; False when there is one of that id.

        Raises:
            NoDashboard: the cluster does not take it.
        """
        with _explain(self.url):
            try:
                # Ray works on the environment it is given, so each try gets its own.
                _WHEN_READY(
                    lambda: self._client.submit_job(
                        entrypoint=entrypoint,
                        submission_id=job,
                        runtime_env=dict(env),
                        metadata={MARK: "1"},
                        entrypoint_num_cpus=cpus,
                    )
                )
            except RuntimeError as err:
                if "already exists" in str(err):
                    return False
                raise
        return True

    def jobs(self, name: str, other: str = "") -> dict[str, str]:
        """A run's jobs in the order of their attempts, with Ray's word for their state.

        Args:
            name: of the first (`job_name`), from which the others have theirs.
            other: a job that drove it but is not of ours; counts when there is none of ours.
        """
        with _explain(self.url):
            listed = {str(j.submission_id): str(j.status.value) for j in self._client.list_jobs()}
        mine = [j for j in listed if j == name or j.startswith(f"{name}--")]
        return {
            j: listed[j] for j in sorted(mine, key=attempt) or [o for o in listed if o == other]
        }

    def state(self, job: str) -> tuple[str, int | None]:
        """Ray's word for a job's state, and its driver's exit code when it has one."""
        with _explain(self.url):
            details = self._client.get_job_info(job)
        return str(details.status.value), details.driver_exit_code

    def stop(self, job: str) -> None:
        """Have Ray end the driver: SIGTERM, and SIGKILL a few seconds later."""
        with _explain(self.url):
            self._client.stop_job(job)

    def log(self, job: str) -> str:
        """All that a job's driver has written."""
        with _explain(self.url):
            return str(self._client.get_job_logs(job))

    async def tail(self, job: str) -> AsyncIterator[str]:
        """Pieces of what the driver writes, until it ends."""
        with _explain(self.url):
            async for piece in self._client.tail_job_logs(job):
                yield piece


def job_name(run: str, store: str) -> str:
    """A run's first job: the same plan in another store is another job."""
    return f"{run}-{fingerprint(store.rstrip('/'))[:6]}"


def attempt(job: str) -> int:
    """Which attempt at its run a job is: `<name>`, `<name>--2` and so on."""
    number = job.rpartition("--")[2]
    return int(number) if number.isdigit() and "--" in job else 1


def _client(url: str) -> "JobSubmissionClient":
    import ray
    from ray.dashboard.modules.dashboard_sdk import SubmissionClient
    from ray.job_submission import JobSubmissionClient

    class NamedClient(JobSubmissionClient):
        """Asks the cluster at `url` and no other, and waits for no answer for ever.

        Ray's own constructor lets RAY_ADDRESS and RAY_API_SERVER_ADDRESS win over its argument.
        """

        def __init__(self) -> None:
            self._client_ray_version = ray.__version__
            SubmissionClient.__init__(self, address=url)
            self._check_connection_and_version(min_version="2.0")

        def _do_request(self, *given: Any, **named: Any) -> Any:
            patience = _UPLOAD_S if named.get("data") else _PATIENCE_S
            return super()._do_request(*given, **{"timeout": patience, **named})

    return NamedClient()


@contextlib.contextmanager
def _explain(url: str) -> Iterator[None]:
    import aiohttp
    import requests
    from ray.exceptions import AuthenticationError

    try:
        yield
    except AuthenticationError as err:
        refused = "403: the one given is wrong" if "failed" in str(err)[:30] else "401"
        raise NoDashboard(f"{url}: {_NO_TOKEN.format(status=refused)}") from err
    except (ConnectionError, requests.RequestException, aiohttp.ClientError, OSError) as err:
        raise NoDashboard(
            f"no job API answers at {url}: {_line(err)}. Forward a port to the dashboard of the "
            "cluster's head, or name it with --address"
        ) from err
    except RuntimeError as err:
        raise NoDashboard(f"the job API at {url} refuses: {_line(err)}") from err


def _line(err: Exception) -> str:
    lines = str(err).strip().splitlines()
    return lines[0][:300].rstrip(".") if lines else type(err).__name__

"""Whether an endpoint can be used at all: what is one sample's failure, and what is everybody's."""

from dataclasses import dataclass

from medgen.adapters.http.endpoint import Endpoint, Failure, Reply
from medgen.engine.errors import AdapterError

_UNSURE = 3  # replies of 403 without a reason before the first good one: the key, not the sample


@dataclass(slots=True)
class Standing:
    """How an endpoint has treated us so far.

    A missing credit ends the system at once, and so does a key, path or parameter that is not
    accepted before anything was. Once the endpoint has accepted a request, such a reply is the
    sample's, and only `give_up_after` of them in a row are everybody's.
    """

    endpoint: Endpoint
    _accepted: bool = False
    _denied: int = 0  # in a row
    _unconnected: int = 0  # in a row
    _last: Failure | None = None

    def note_connection(self, yes: bool) -> None:
        """One request reached a server, or none of its attempts did."""
        self._unconnected = 0 if yes else self._unconnected + 1

    def see(self, outcome: Reply | Failure, url: str) -> None:
        """Take note of one outcome.

        Raises:
            AdapterError: the endpoint cannot be used.
        """
        if isinstance(outcome, Reply):
            self._accepted, self._denied = True, 0
            return
        if outcome.about == "credit":
            raise AdapterError(f"{url}: the account has no credit left: {outcome.reason}")
        if not outcome.about:
            if outcome.kind in ("client", "refused", "malformed"):
                self._accepted, self._denied = True, 0
            elif self._unconnected >= self.endpoint.give_up_after:
                raise AdapterError(f"{url} cannot be reached: {outcome.reason}. Is the server up?")
            return
        self._denied, self._last = self._denied + 1, outcome
        unsure = outcome.http_status == 403 and self._denied < _UNSURE
        if self._denied >= self.endpoint.give_up_after or not (self._accepted or unsure):
            raise AdapterError(self._why(outcome, url))

    def end_of_batch(self, url: str) -> None:
        """Nothing of a batch is open any more.

        Raises:
            AdapterError: nothing was ever accepted, and something was denied.
        """
        if self._last is not None and self._denied and not self._accepted:
            raise AdapterError(self._why(self._last, url))

    def _why(self, failure: Failure, url: str) -> str:
        if failure.about == "key":
            key = self.endpoint.api_key_env or "none; set api_key_env"
            return f"{url} does not accept the key ({key}): {failure.reason}"
        if failure.about == "place":
            return f"{url}: no such path or model: {failure.reason}"
        return f"{url} does not take what is asked for: {failure.reason}"

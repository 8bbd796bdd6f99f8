"""The backends of a pool and everything that decides whether they are eligible.

Every change, whoever asked for it, ends in `_update` of the one backend concerned, which asks `eligibility` and tells the
pool that something changed. A backend that leaves while connections on it are open is kept aside until the last one
is released, and taken back with its counts where its name returns.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from txlb.events import BackendDown, BackendEjected, BackendReturned, BackendUp, EventBus
from txlb.model import outliers
from txlb.model.backend import Backend
from txlb.model.eligibility import Offer, effective_weight, is_eligible, is_warming, offer
from txlb.model.limits import MakeGauge
from txlb.model.states import AdminState, HealthState, OutlierState
from txlb.specs import BackendSpec, PoolSpec

WARMING_STEPS = 20
"""In how many steps a weight grows back during slow start: each one is a rebuild of the strategies' tables."""


class Roster:
    """`backends` is ordered by name. `available` counts those eligible with a weight, `ejected` those ejected.
    `judge` is called with a backend that failed too often in a row."""

    def __init__(
        self, spec: PoolSpec, clock: IReactorTime, bus: EventBus, make_gauge: MakeGauge, changed: Callable[[], None]
    ) -> None:
        self.spec = spec
        self.backends: dict[str, Backend] = {}
        self.available = 0
        self.ejected = 0
        self._gone: dict[str, Backend] = {}
        self._clock = clock
        self._bus = bus
        self._make_gauge = make_gauge
        self._changed = changed
        self._returns: dict[Backend, IDelayedCall] = {}
        self._warming: set[Backend] = set()
        self._warming_call: IDelayedCall | None = None
        self._stopped = False
        self.judge = self.try_eject

    def find(self, name: str) -> Backend | None:
        """The backend of that name, also one that left and still has connections."""
        return self.backends.get(name) or self._gone.get(name)

    def reconcile(
        self, spec: PoolSpec, specs: dict[str, BackendSpec], admin: dict[str, AdminState], weights: dict[str, int]
    ) -> None:
        """Take over this spec with these backends, and the operator's states and weights by name."""
        unchecked = spec.health is None and self.spec.health is not None
        self.spec = spec
        for name in self.backends.keys() - specs.keys():
            self._leave(self.backends.pop(name))
        backends = {}
        for name, backend_spec in specs.items():
            backend = backends[name] = self.backends.get(name) or self._enter(backend_spec)
            if backend.spec != backend_spec:
                self._respecify(backend, backend_spec)
            if unchecked:
                backend.forget_verdicts()
            backend.admin = admin.get(name, AdminState.READY)
            backend.weight_override = weights.get(name)
            self._update(backend)
        self.backends = backends

    def offer(self) -> Offer:
        """Who may be picked now. Ends ejections that the pool, as it has become, cannot afford."""
        self._end_excess()
        return offer(self.backends.values(), self.spec.panic_threshold)

    def observe(self, backend: Backend, ok: bool, reason: str) -> None:
        """An active verdict."""
        if ok:
            backend.checks_passed += 1
        else:
            backend.checks_failed += 1
        health = self.spec.health
        rise, fall = (health.rise, health.fall) if health is not None else (1, 1)
        before = backend.health
        flipped = backend.counter.observe(ok, rise, fall)
        if flipped or ok == (backend.health is HealthState.UP):
            backend.health_reason = reason
        if ok and backend.outlier is OutlierState.EJECTED:
            self.end_ejection(backend, f"passed its check: {reason}")
        if flipped:
            if before is HealthState.DOWN:
                self._recovered(backend)
            self._update(backend)
            event = BackendUp if ok else BackendDown
            self._bus.publish(event(self.spec.name, backend.name, reason))

    def decree(self, backend: Backend, state: HealthState, reason: str) -> None:
        """Another process's checks found that its health is this."""
        before, backend.health_reason = backend.health, reason
        backend.counter.become(state)
        if state is before:
            return
        if before is HealthState.DOWN:
            self._recovered(backend)
        self._update(backend)
        if state is not HealthState.UNKNOWN:
            event = BackendUp if state is HealthState.UP else BackendDown
            self._bus.publish(event(self.spec.name, backend.name, reason))

    def failed(self, backend: Backend, reason: str) -> None:
        """A passive failure: traffic met the backend, and it was bad. Of one that is down this is no news, and may be our
        own doing (`close_when_down`)."""
        if backend.health is HealthState.DOWN:
            return
        backend.failures += 1
        if outliers.is_bad(self.spec.outliers, backend):
            self.judge(backend, f"{backend.failures} failures in a row, the last one {reason}")

    def try_eject(self, backend: Backend, reason: str) -> None:
        """Eject it for as long as it has earned, if the pool can afford that."""
        spec = self.spec.outliers
        if outliers.may_eject(spec, backend, self.ejected, self.available, len(self.backends)):
            backend.ejections, seconds = outliers.next_ejection(spec, backend, self._clock.seconds())
            self.eject(backend, seconds, reason)

    def eject(self, backend: Backend, seconds: float, reason: str) -> None:
        """Leave it out for so long. Whether the pool can afford it is the caller's business."""
        if backend.outlier is OutlierState.EJECTED or not backend.present or self._stopped:
            return
        backend.failures = 0
        backend.outlier, backend.outlier_reason = OutlierState.EJECTED, reason
        backend.ejected_until = self._clock.seconds() + seconds
        self.ejected += 1
        self._returns[backend] = self._clock.callLater(seconds, self.end_ejection, backend, "its time is over")
        self._update(backend)
        self._bus.publish(BackendEjected(self.spec.name, backend.name, reason, seconds))

    def end_ejection(self, backend: Backend, reason: str) -> None:
        """Take it back; does nothing where it is not ejected."""
        if self._forget_ejection(backend):
            self._recovered(backend)
            self._update(backend)
            self._bus.publish(BackendReturned(self.spec.name, backend.name, reason))

    def forget_if_idle(self, backend: Backend) -> None:
        """A lease of a backend that left was released."""
        if not backend.active and not backend.present:
            self._gone.pop(backend.name, None)

    def warm_since(self, backend: Backend, recovered_at: float) -> None:
        """It recovered then, as another process saw it."""
        self._recovered(backend)
        backend.recovered_at = recovered_at
        self._update(backend)

    def stop(self) -> None:
        """Cancel all timers and start none any more."""
        self._stopped = True
        for call in self._returns.values():
            if call.active():
                call.cancel()
        if self._warming_call is not None:
            self._warming_call.cancel()
            self._warming_call = None

    def _enter(self, spec: BackendSpec) -> Backend:
        backend = self._gone.pop(spec.name, None)
        if backend is None:
            return Backend(spec, self._make_gauge(spec.name, spec.max_connections), self._clock.seconds())
        backend.present = True
        backend.forget_verdicts()
        return backend

    def _leave(self, backend: Backend) -> None:
        self._forget_ejection(backend)
        self._warming.discard(backend)
        backend.present = False
        self._update(backend)
        if backend.active:
            self._gone[backend.name] = backend

    def _respecify(self, backend: Backend, spec: BackendSpec) -> None:
        """Another address is another server: what was seen of the old one says nothing about it."""
        if spec.connect != backend.spec.connect:
            self._forget_ejection(backend)
            backend.forget_verdicts()
        backend.replace_spec(spec)
        self._changed()

    def _forget_ejection(self, backend: Backend) -> bool:
        if backend.outlier is OutlierState.OK:
            return False
        call = self._returns.pop(backend)
        if call.active():
            call.cancel()
        self.ejected -= 1
        backend.outlier, backend.outlier_reason = OutlierState.OK, ""
        backend.returned_at = self._clock.seconds()
        return True

    def _end_excess(self) -> None:
        while self.ejected:
            out = list(self._returns)
            if self.ejected <= outliers.room_for_ejections(self.spec.outliers, len(self.backends)):
                out = (
                    [] if self.available else [b for b in out if b.effective_weight and is_eligible_but_for_ejection(b)]
                )
            if not out:
                return
            self.end_ejection(min(out, key=lambda b: b.ejected_until), "the pool needs it")

    def _recovered(self, backend: Backend) -> None:
        backend.failures = 0
        backend.recovered_at = self._clock.seconds()
        if self.spec.slow_start:
            self._warming.add(backend)
            self._warm_later()

    def _warm_later(self) -> None:
        if self._warming_call is None and self._warming and self.spec.slow_start and not self._stopped:
            self._warming_call = self._clock.callLater(self.spec.slow_start / WARMING_STEPS, self._warm)

    def _warm(self) -> None:
        self._warming_call = None
        now = self._clock.seconds()
        for backend in sorted(self._warming):
            self._update(backend)
            if not is_warming(backend, now, self.spec.slow_start):
                self._warming.discard(backend)
        self._warm_later()

    def _update(self, backend: Backend) -> None:
        """Compute what follows from its state; the only place where `eligible` and the weights are set."""
        now = self._clock.seconds()
        before = (backend.eligible, backend.effective_weight)
        self.available -= backend.eligible and backend.effective_weight > 0
        backend.eligible = is_eligible(backend)
        backend.effective_weight = effective_weight(backend, now, self.spec.slow_start)
        backend.weight = backend.effective_weight or backend.weight
        self.available += backend.eligible and backend.effective_weight > 0
        if backend.eligible and not before[0]:
            backend.up_since = now
        if (backend.eligible, backend.effective_weight) != before:
            self._changed()


def is_eligible_but_for_ejection(backend: Backend) -> bool:
    """Whether ending its ejection would let it take connections."""
    return backend.admin is AdminState.READY and backend.health is not HealthState.DOWN

# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Who sells time on which device, and how it is charged. Devices that have a price but no calibration data are here only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flashket.errors import InputError, explanation
from flashket.qpu.profile import DeviceProfile, load_profile, profile_names
from flashket.qpu.timing import TIME_MODELS, TimeModel


@dataclass(frozen=True)
class PricedDevice:
    """A device of which only the price is known here: enough to count gates and money, not to simulate.

    Parameters
    ----------
    name, vendor : str
        E.g. "iqm_garnet", "IQM".
    n_qubits : int
        Qubits of the device.
    one_qubit_gate, two_qubit_gate : str
        As of a :class:`flashket.qpu.DeviceProfile`.
    is_all_to_all : bool
        Whether every pair has the two-qubit gate; otherwise routing adds gates that are not counted.
    note : str
        What a user should know.
    timing : TimeModel or None
        Published durations, as of a profile.
    """

    name: str
    vendor: str
    n_qubits: int
    one_qubit_gate: str
    two_qubit_gate: str
    is_all_to_all: bool
    note: str = ""
    timing: TimeModel | None = None


PRICED_DEVICES = (
    PricedDevice("iqm_garnet", "IQM", 20, "u", "cz", False, "", TIME_MODELS["IQM"]),
    PricedDevice("iqm_emerald", "IQM", 54, "u", "cz", False, "", TIME_MODELS["IQM"]),
    PricedDevice("rigetti_ankaa", "Rigetti", 82, "sx", "cz", False, "", TIME_MODELS["Rigetti"]),
    PricedDevice("rigetti_cepheus-1-108q", "Rigetti", 108, "sx", "cz", False, "", TIME_MODELS["Rigetti"]),
    PricedDevice("ionq_forte", "IonQ", 36, "u", "rzz", True, "", TIME_MODELS["IonQ Forte"]),
    PricedDevice("ionq_aria", "IonQ", 25, "u", "rzz", True, "no longer offered", TIME_MODELS["IonQ Aria"]),
)


@dataclass(frozen=True)
class Offer:
    """One way to buy.

    ``scheme`` is how it is charged: "seconds" (QPU time), "shots" (tasks and shots), "gate-shots", "hqc". ``items`` name prices.
    """

    name: str
    scheme: str
    items: tuple[str, ...]
    vendor: str
    devices: tuple[str, ...] | None
    """None: every device of the vendor."""

    def sells(self, device: DeviceProfile | PricedDevice) -> bool:
        """Whether the device is sold this way."""
        return device.vendor == self.vendor and (self.devices is None or device.name in self.devices)


# The first that sells a device is its default.
OFFERS = (
    Offer("ibm_payg", "seconds", ("ibm_payg",), "IBM", None),
    Offer("ibm_flex", "seconds", ("ibm_flex",), "IBM", None),
    Offer("ibm_premium", "seconds", ("ibm_premium",), "IBM", None),
    Offer("ibm_open", "seconds", ("ibm_open",), "IBM", None),
    Offer("quantinuum_10k_hqc", "hqc", ("quantinuum_10k_hqc",), "Quantinuum", None),
    Offer("quantinuum_17k_hqc", "hqc", ("quantinuum_17k_hqc",), "Quantinuum", None),
    Offer("braket_iqm_garnet", "shots", ("braket_task", "braket_iqm_garnet"), "IQM", ("iqm_garnet",)),
    Offer("iqm_resonance", "seconds", ("iqm_resonance",), "IQM", None),
    Offer("braket_rigetti_ankaa", "shots", ("braket_task", "braket_rigetti_ankaa"), "Rigetti", ("rigetti_ankaa",)),
    Offer("azure_rigetti_cepheus", "seconds", ("azure_rigetti_cepheus",), "Rigetti", ("rigetti_cepheus-1-108q",)),
    Offer("braket_ionq_forte", "shots", ("braket_task", "braket_ionq_forte"), "IonQ", ("ionq_forte",)),
    Offer(
        "azure_ionq_forte",
        "gate-shots",
        ("azure_ionq_forte_1q", "azure_ionq_forte_2q", "azure_ionq_forte_minimum", "azure_ionq_forte_minimum_mitigated"),
        "IonQ",
        ("ionq_forte",),
    ),
    Offer("braket_ionq_aria", "shots", ("braket_task", "braket_ionq_aria"), "IonQ", ("ionq_aria",)),
)


IBM_PLANS = {"open": "ibm_open", "pay-as-you-go": "ibm_payg", "flex": "ibm_flex", "premium": "ibm_premium"}
"""IBM's names of its plans, and the offers they are here."""


def offer_name(plan: str) -> str:
    """Return the offer of a plan: one of IBM's by IBM's name, or any by its name here.

    Raises
    ------
    InputError
        For an unknown one, listing what exists.

    Examples
    --------
    >>> offer_name("pay-as-you-go"), offer_name("quantinuum_17k_hqc")
    ('ibm_payg', 'quantinuum_17k_hqc')
    """
    name = IBM_PLANS.get(plan, plan)
    if name not in {offer.name for offer in OFFERS}:
        names = ", ".join([*IBM_PLANS, *(offer.name for offer in OFFERS)])
        raise InputError(explanation("qpu", f"a plan must be one of {names}", repr(plan), "the first four are IBM's"))
    return name


def offers_for(plans: Sequence[str], devices: Sequence[DeviceProfile | PricedDevice]) -> list[str | None]:
    """Return for every device the plan that it is bought under, None for the usual one.

    Parameters
    ----------
    plans : sequence of str
        See :func:`offer_name`; each holds for the devices that are sold that way.
    devices : sequence of DeviceProfile or PricedDevice
        What is to be bought.

    Raises
    ------
    InputError
        For an unknown plan, one that sells none of the devices, and two for the same device.

    Examples
    --------
    >>> offers_for(["flex"], [find_device("ibm_torino"), find_device("ionq_forte")])
    ['ibm_flex', None]
    """
    names = list(dict.fromkeys(offer_name(plan) for plan in plans))
    wanted = [offer for offer in OFFERS if offer.name in names]
    found: list[str | None] = []
    for device in devices:
        sold = [offer.name for offer in wanted if offer.sells(device)]
        if len(sold) > 1:
            raise InputError(explanation("qpu", f"one plan for {device.name} was wanted", ", ".join(sold), "choose one"))
        found.append(sold[0] if sold else None)
    for name in names:
        if name not in found:
            ways = dict.fromkeys(offer.name for device in devices for offer in OFFERS if offer.sells(device))
            do = f"these are sold by {', '.join(ways) or 'nobody that publishes prices'}"
            raise InputError(explanation("qpu", f"plan {name} must sell one of {', '.join(one.name for one in devices)}", "none", do))
    return found


def device_names() -> list[str]:
    """Return every device that can be estimated: the profiles, then the devices that have only a price.

    Examples
    --------
    >>> device_names()[-1]
    'ionq_aria'
    """
    profiles = profile_names()
    return [*profiles, *(device.name for device in PRICED_DEVICES if device.name not in profiles)]


def find_device(device: DeviceProfile | PricedDevice | str) -> DeviceProfile | PricedDevice:
    """Return a device by name, by a profile's file, or as it is.

    Raises
    ------
    InputError
        For an unknown name, listing what exists.
    """
    if not isinstance(device, str):
        return device
    if device not in profile_names():
        for priced in PRICED_DEVICES:
            if priced.name == device:
                return priced
        if not device.endswith(".json"):
            raise InputError(explanation("qpu", f"a device must be one of {', '.join(device_names())}, or a profile's file", repr(device)))
    return load_profile(device)


def find_offer(device: DeviceProfile | PricedDevice, provider: str | None) -> Offer | None:
    """Return how a device is bought: the named way, by default the usual one; None where nobody publishes a price.

    Raises
    ------
    InputError
        If the device is not sold in the named way, listing the ways it is.
    """
    ways = [offer for offer in OFFERS if offer.sells(device)]
    if provider is None:
        return ways[0] if ways else None
    for offer in ways:
        if offer.name == IBM_PLANS.get(provider, provider):
            return offer
    names = ", ".join(offer.name for offer in ways) or "nowhere that publishes prices"
    raise InputError(explanation("qpu", f"provider must be one that sells {device.name}", repr(provider), f"it is sold by {names}"))

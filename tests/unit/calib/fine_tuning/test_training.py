"""Fine-tuning against PyTorch's autograd and optimiser."""

from __future__ import annotations

import numpy as np
import pytest

from mvrec_edge.calib.fine_tuning.optimiser import cosine_rate
from mvrec_edge.calib.fine_tuning.training import FineTuning, fine_tune, loss_and_gradients
from mvrec_edge.runtime import Adapter, FineTunedZipAdapter, SupportCache, ZipAdapter, open_head
from mvrec_edge.runtime.errors import UsageError

CLASSES = 3


def cache(seed: int = 0, *, shots: int = 4, views: int = 5, channels: int = 24) -> SupportCache:
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((CLASSES, 1, 1, channels)) + 2.0
    embeddings = centres + 0.7 * rng.standard_normal((CLASSES, shots, views, channels))
    return SupportCache.from_embeddings(
        embeddings.reshape(-1, views, channels), np.repeat(np.arange(CLASSES), shots), ["a", "b", "c"]
    )


def torch_loss(torch, weight, bias, keys, samples, labels, one_hot, beta, triplet):
    """The same loss, written with PyTorch's operators."""

    def project(rows):
        return torch.nn.functional.silu(rows @ weight.T + bias) + rows

    projected = project(samples)
    cosine = torch.nn.functional.normalize(projected, dim=1) @ torch.nn.functional.normalize(project(keys), dim=1).T
    logits = torch.exp(-beta * (1 - cosine)) @ one_hot / 0.11
    loss = torch.nn.functional.cross_entropy(logits, labels)
    if triplet:
        distance = torch.cdist(projected, projected, compute_mode="donot_use_mm_for_euclid_dist")
        same = labels[:, None] == labels[None]
        far = torch.where(same & ~torch.eye(len(labels), dtype=torch.bool), distance, -1.0).max(dim=1).values
        near = torch.where(same, torch.inf, distance).min(dim=1).values
        loss = loss + triplet * torch.relu(far - near + 0.5).mean()
    return loss


@pytest.mark.parametrize("triplet", [0.0, 4.0])
@pytest.mark.parametrize("beta", [1.0, 5.0])
def test_gradients_are_those_of_autograd(beta: float, triplet: float) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is what the gradients are compared with")
    support = cache()
    rng = np.random.default_rng(1)
    channels = support.embeddings.shape[2]
    adapter = Adapter(
        weight=(0.2 * rng.standard_normal((channels, channels))).astype(np.float32),
        bias=(0.2 * rng.standard_normal(channels)).astype(np.float32),
        keys=support.keys + 0.1 * rng.standard_normal(support.keys.shape).astype(np.float32),
    )
    samples = support.embeddings.astype(np.float32).reshape(-1, channels)
    labels = np.repeat(support.labels, support.embeddings.shape[1])
    loss, got = loss_and_gradients(adapter, samples, labels, support.labels, CLASSES, beta, triplet)

    trained = (adapter.weight, adapter.bias, adapter.keys)
    arrays = [torch.tensor(value.astype(np.float64), requires_grad=True) for value in trained]
    one_hot = torch.nn.functional.one_hot(torch.tensor(support.labels), CLASSES).double()
    want = torch_loss(torch, *arrays, torch.tensor(samples).double(), torch.tensor(labels), one_hot, beta, triplet)
    want.backward()
    assert loss == pytest.approx(float(want), rel=1e-5, abs=1e-6)
    for name, array in zip(("weight", "bias", "keys"), arrays, strict=True):
        reference = array.grad.numpy()
        np.testing.assert_allclose(getattr(got, name), reference, rtol=1e-3, atol=2e-5 * np.abs(reference).max())


@pytest.mark.parametrize("triplet", [0.0, 4.0])
def test_a_run_of_twenty_steps_is_that_of_torch(triplet: float) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is what the run is compared with")
    support = cache()
    channels = support.embeddings.shape[2]
    losses: list[float] = []
    settings = FineTuning(steps=20, rate=1e-2, last_rate=1e-3, triplet=triplet)
    tuned = fine_tune(support, settings, progress=lambda _, loss: losses.append(loss)).adapter
    assert tuned is not None

    samples = torch.tensor(support.embeddings.astype(np.float32).reshape(-1, channels))
    labels = torch.tensor(np.repeat(support.labels, support.embeddings.shape[1]))
    one_hot = torch.nn.functional.one_hot(torch.tensor(support.labels), CLASSES).float()
    arrays = [torch.zeros(channels, channels), torch.zeros(channels), torch.tensor(support.keys)]
    for array in arrays:
        array.requires_grad_(True)
    optimiser = torch.optim.AdamW(arrays, lr=1e-2, eps=1e-6)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=20, eta_min=1e-3)
    wanted = []
    for _ in range(20):
        optimiser.zero_grad()
        loss = torch_loss(torch, *arrays, samples, labels, one_hot, 1.0, triplet)
        loss.backward()
        optimiser.step()
        schedule.step()
        wanted.append(float(loss))
    np.testing.assert_allclose(losses, wanted, rtol=2e-3, atol=1e-4)
    for name, array in zip(("weight", "bias", "keys"), arrays, strict=True):
        np.testing.assert_allclose(getattr(tuned, name), array.detach().numpy(), atol=2e-3)
    assert losses[-1] < losses[0]


def test_the_same_cache_gives_the_same_adapter(tmp_path) -> None:
    settings = FineTuning(steps=5)
    fine_tune(cache(), settings).save(tmp_path / "a")
    fine_tune(cache(), settings).save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    loaded = SupportCache.load(tmp_path / "a")
    assert isinstance(open_head(loaded), FineTunedZipAdapter)
    query = np.random.default_rng(3).standard_normal((4, 5, 24)).astype(np.float32)
    want = FineTunedZipAdapter(fine_tune(cache(), settings)).logits(query)
    np.testing.assert_array_equal(open_head(loaded).logits(query), want)


def test_an_adapter_of_zeros_is_the_zip_adapter() -> None:
    import dataclasses

    support = cache()
    zeros = Adapter(np.zeros((24, 24), np.float32), np.zeros(24, np.float32), support.keys)
    query = np.random.default_rng(3).standard_normal((4, 5, 24)).astype(np.float32)
    got = FineTunedZipAdapter(dataclasses.replace(support, adapter=zeros), beta=7.0).logits(query)
    np.testing.assert_allclose(got, ZipAdapter(support, beta=7.0).logits(query), rtol=1e-5)


def test_the_schedule_is_half_a_cosine() -> None:
    rates = [cosine_rate(step, 10, 1.0, 0.1) for step in range(11)]
    assert rates[0] == 1.0
    assert rates[5] == pytest.approx(0.55)
    assert rates[10] == pytest.approx(0.1)
    assert rates == sorted(rates, reverse=True)


def test_a_head_without_an_adapter_is_refused() -> None:
    with pytest.raises(UsageError, match="not been fine-tuned"):
        FineTunedZipAdapter(cache())


@pytest.mark.parametrize("changes", [{"steps": 0}, {"rate": 0.0}, {"beta": -1.0}, {"triplet": -1.0}])
def test_settings_out_of_range_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="fine-tuning needs"):
        fine_tune(cache(), FineTuning(**changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["weight", "bias", "keys"])
def test_a_forged_adapter_is_refused(tmp_path, name: str) -> None:
    import dataclasses

    from mvrec_edge.runtime.errors import IntegrityError, SupportError

    tuned = fine_tune(cache(), FineTuning(steps=1))
    assert tuned.adapter is not None
    value = getattr(tuned.adapter, name).copy()
    value.flat[0] = np.nan
    broken = dataclasses.replace(tuned, adapter=dataclasses.replace(tuned.adapter, **{name: value}))
    with pytest.raises(SupportError, match=name):
        broken.save(tmp_path / "a")
    (tmp_path / "a").write_bytes(broken.to_bytes())
    with pytest.raises(IntegrityError, match=name):
        SupportCache.load(tmp_path / "a")

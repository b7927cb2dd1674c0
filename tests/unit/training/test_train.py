"""Training: a run that was stopped ends like one that was not, and what is published can be exported."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch")

from mvrec_edge.export import read_checkpoint  # noqa: E402
from mvrec_edge.export.encoder import load_encoder  # noqa: E402
from mvrec_edge.export.layout import expected_shapes  # noqa: E402
from mvrec_edge.runtime.bundle import TransformerArchitecture  # noqa: E402
from training.descriptors import DESCRIPTORS, GUIDES  # noqa: E402
from training.losses import contrastive_loss, retrieval_accuracy  # noqa: E402
from training.publish import publish  # noqa: E402
from training.samples import BatchPlan, render_batch  # noqa: E402
from training.train import GUIDED, POCKET, Student, TrainingPlan, train  # noqa: E402

TINY = BatchPlan(lines=1, classes=2, instances=2, views=1)
#: A step of the pocket encoder takes ten seconds on a processor that does not multiply in bfloat16.
SMALL = replace(GUIDED, patch_size=16, width=64, layers=1, embedding_dim=64)


def size_of(architecture: TransformerArchitecture) -> int:
    """Bytes of its weights in float16."""
    return 2 * sum(math.prod(shape) for shape in expected_shapes(architecture).values())


def test_the_loss_falls_when_classes_come_together() -> None:
    classes, instances = torch.tensor([0, 0, 1, 1]), torch.arange(4)
    apart = torch.tensor([[1.0, 0], [0, 1.0], [1.0, 0], [0, 1.0]])
    together = torch.tensor([[1.0, 0], [1.0, 0], [0, 1.0], [0, 1.0]])
    worse, better = (float(contrastive_loss(each, classes, instances, 0.1)) for each in (apart, together))
    assert better < worse
    assert retrieval_accuracy(together, classes, instances, 4) == (1.0, 1.0)
    assert retrieval_accuracy(apart, classes, instances, 4) == (0.0, 0.0)


def test_the_loss_is_the_published_formula() -> None:
    """Khosla et al. 2020, equation 2, summed by hand; views of one instance are left out."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.nn.functional.normalize(torch.randn(8, 5, generator=generator), dim=1).tolist()
    classes, instances = [0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 2, 2, 3, 3]
    total = 0.0
    for i in range(8):
        others = [a for a in range(8) if instances[a] != instances[i]]
        similarity = {a: sum(x * y for x, y in zip(rows[i], rows[a], strict=True)) / 0.2 for a in others}
        log_sum = math.log(sum(math.exp(value) for value in similarity.values()))
        positives = [a for a in others if classes[a] == classes[i]]
        total -= sum(similarity[a] - log_sum for a in positives) / len(positives)
    loss = contrastive_loss(torch.tensor(rows), torch.tensor(classes), torch.tensor(instances), 0.2)
    assert float(loss) == pytest.approx(total / 8, rel=1e-5)


def test_the_rate_rises_and_falls() -> None:
    plan = TrainingPlan(steps=100, warm_up=10)
    shares = [plan.share_at(step) for step in range(100)]
    assert shares[9] == pytest.approx(1) == max(shares)
    assert shares[:10] == sorted(shares[:10])
    assert shares[10:] == sorted(shares[10:], reverse=True)
    assert 0 < shares[-1] < 0.05


def test_the_pocket_encoder_is_what_is_trained() -> None:
    assert TrainingPlan().encoder == GUIDED
    assert replace(GUIDED, embedding_dim=GUIDED.embedding_dim - len(GUIDES)) == POCKET
    assert size_of(POCKET) <= 8_000_000


@pytest.mark.parametrize(("encoder", "steps"), [(SMALL, 40), pytest.param(GUIDED, 12, marks=pytest.mark.slow)])
def test_descriptors_are_learned_in_their_own_channels(
    tmp_path: Path, encoder: TransformerArchitecture, steps: int
) -> None:
    batch = BatchPlan(lines=1, classes=2, instances=2)
    plan = TrainingPlan(steps=steps, warm_up=4, describing=100.0, batch=batch, whitening=1, encoder=encoder)
    train(plan, tmp_path, workers=0, compiled=False, log_every=1)
    errors = [json.loads(line)["description"] for line in (tmp_path / "log.jsonl").open()]
    assert sum(errors[-(steps // 3) :]) < sum(errors[: steps // 3])


@pytest.mark.parametrize("encoder", [SMALL, pytest.param(GUIDED, marks=pytest.mark.slow)])
def test_a_run_goes_on_where_it_was_stopped_and_is_published(tmp_path: Path, encoder: TransformerArchitecture) -> None:
    plan = TrainingPlan(steps=3, warm_up=1, batch=TINY, whitening=1, encoder=encoder)
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    train(plan, straight, workers=0, compiled=False, log_every=1)
    train(plan, stopped, workers=0, compiled=False, log_every=1, save_every=1, until=2)
    with pytest.raises(SystemExit, match="step 2 of 3"):
        publish(stopped, tmp_path / "early.safetensors", tmp_path)
    with (stopped / "log.jsonl").open("a") as log:
        log.write('{"step": 3, "lost": true}\n')
    train(plan, stopped, workers=0, compiled=False, log_every=1)
    lines = [[json.loads(line) for line in (run / "log.jsonl").open()] for run in (straight, stopped)]
    for line in lines[0] + lines[1]:
        del line["minutes"]
    assert lines[0] == lines[1]
    assert [line["step"] for line in lines[0]] == [1, 2, 3]
    publish(stopped, tmp_path / "pocket.safetensors", tmp_path / "results")
    weights = read_checkpoint(tmp_path / "pocket.safetensors")
    assert weights.architecture == replace(encoder, embedding_dim=encoder.embedding_dim - len(GUIDES))
    assert weights.dtype == "float16"
    # Lengths were set on rendered views.
    views = torch.cat([torch.from_numpy(render_batch(BatchPlan(), 1, step).views) for step in range(4)])
    student = Student(0, encoder)
    student.encoder = load_encoder(weights)
    with torch.inference_mode():
        of_class, of_descriptors = student(views)
    assert of_descriptors.shape[1] == len(DESCRIPTORS)
    for part, length in ((of_class, 1.0), (of_descriptors, 0.25)):
        assert float(part.norm(dim=1).mean()) == pytest.approx(length, rel=0.01)
    written = json.loads((tmp_path / "results" / "plan.json").read_text())["bytes"]
    assert written == (tmp_path / "pocket.safetensors").stat().st_size <= 8_000_000


def test_another_plan_does_not_go_on_with_a_checkpoint(tmp_path: Path) -> None:
    train(TrainingPlan(steps=1, batch=TINY, whitening=1, encoder=SMALL), tmp_path, workers=0, compiled=False)
    with pytest.raises(SystemExit, match="another plan"):
        train(TrainingPlan(steps=2, batch=TINY, whitening=1, encoder=SMALL), tmp_path, workers=0, compiled=False)

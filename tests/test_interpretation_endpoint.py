"""The endpoint's client and simulation, against a stand-in server on this machine."""

import json
import logging
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from coact.artefacts import read_table, write_table
from coact.errors import ConfigError
from coact.interpretation.endpoint import MOST_BYTES, Settings, ask
from coact.interpretation.simulation import (
    COLUMNS,
    NOT_ASKED,
    Excerpt,
    Split,
    choose_features,
    count_statuses,
    gather_excerpts,
    read_numbers,
    simulate_column,
    simulate_features,
)
from synthetic_features import kept_of, make_text, write_shards

KEY = "sk-the-secret-of-the-test"
VARIABLE = "COACT_TEST_ENDPOINT_KEY"
MESSAGES = [{"role": "user", "content": "hello"}]


def completion(text):
    """The body of a chat completion."""
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()


class Handler(BaseHTTPRequestHandler):
    """Answers with what the server's `replies` say, in turn; the last one again and again."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        server.asked.append((self.path, dict(self.headers), body))
        reply = server.replies[min(len(server.asked), len(server.replies)) - 1]
        reply(self, body)

    def log_message(self, *_):
        pass


def send(handler, status=200, body=b"", headers=()):
    handler.send_response(status)
    for name, value in headers:
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def says(text, status=200, headers=()):
    return lambda handler, _: send(handler, status, completion(text), headers)


def fails(status, headers=(), body=b"no"):
    return lambda handler, _: send(handler, status, body, headers)


@pytest.fixture
def server(monkeypatch):
    """A stand-in endpoint; its `replies` are set by the test."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.daemon_threads, found.asked, found.replies = True, [], [says("fine")]
    thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    found.shutdown()
    found.server_close()
    thread.join()


def settings_of(server, **changes):
    address = f"http://127.0.0.1:{server.server_address[1]}/v1"
    return Settings(**({"url": address, "model": "stand-in", "timeout_s": 5, "pause_s": 0.01} | changes))


def test_a_question_goes_to_chat_completions_with_model_messages_and_key(server, monkeypatch):
    monkeypatch.setenv(VARIABLE, f" {KEY}\n")
    assert ask(settings_of(server, key_variable=VARIABLE), MESSAGES).text == "fine"
    ((path, headers, body),) = server.asked
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert body["model"] == "stand-in"
    assert body["messages"] == MESSAGES


def test_without_a_named_variable_no_key_is_sent(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert ask(settings_of(server), MESSAGES).status == "ok"
    assert "Authorization" not in server.asked[0][1]


@pytest.mark.parametrize(("value", "status"), [(None, "is not set"), ("  ", "is not set"), ("a b", "holds no key")])
def test_a_key_that_is_missing_or_none_is_a_status(server, monkeypatch, value, status):
    monkeypatch.delenv(VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)
    answer = ask(settings_of(server, key_variable=VARIABLE), MESSAGES)
    assert VARIABLE in answer.status
    assert status in answer.status
    assert server.asked == []


@pytest.mark.parametrize(
    ("reply", "status", "times"),
    [
        (fails(401), "HTTP 401 Unauthorized", 1),
        (fails(404), "HTTP 404 Not Found", 1),
        (fails(400), "HTTP 400 Bad Request", 1),
        (fails(500), "HTTP 500 Internal Server Error, after 3 tries", 3),
        (fails(429, [("Retry-After", "0")]), "HTTP 429 Too Many Requests, after 3 tries", 3),
        (fails(307, [("Location", "http://127.0.0.1:9/other")]), "HTTP 307 Temporary Redirect", 1),
        (fails(799), "HTTP 799", 1),
        (fails(200, body=b"<html>welcome</html>"), "answer is not JSON", 1),
        (fails(200, body=b"\xff\xfe\x00"), "answer is not JSON", 1),
        (fails(200, body=b"[" * 100_000), "answer is not JSON", 1),
        (fails(200, body=b""), "answer is not JSON", 1),
        (fails(200, body=b"{}"), "answer is not a chat completion", 1),
        (fails(200, body=b'{"choices": []}'), "answer is not a chat completion", 1),
        (fails(200, body=b"[1]"), "answer is not a chat completion", 1),
        (says("  \n"), "answer is empty", 1),
        (says(None), "answer is empty", 1),
        (fails(200, body=completion("x" * MOST_BYTES)), "answer of more than 1,048,576 bytes", 1),
    ],
)
def test_what_goes_wrong_is_said_in_the_status(server, reply, status, times):
    server.replies = [reply]
    answer = ask(settings_of(server), MESSAGES)
    assert (answer.text, answer.status, len(server.asked)) == ("", status, times)


def test_a_body_without_end_is_cut_short(server):
    def flood(handler, _):
        handler.send_response(200)
        handler.end_headers()
        try:
            for _ in range(1000):
                handler.wfile.write(b" " * 65536)
        except OSError:
            server.cut = True

    server.replies = [flood]
    assert ask(settings_of(server), MESSAGES).status == "answer of more than 1,048,576 bytes"


def test_an_answer_that_drips_is_not_waited_for_longer_than_the_limit(server):
    def drip(handler, _):
        handler.send_response(200)
        handler.end_headers()
        try:
            for _ in range(100):
                handler.wfile.write(b" ")
                time.sleep(0.05)
        except OSError:
            pass

    server.replies = [drip]
    answer = ask(settings_of(server, timeout_s=0.3, retries=0), MESSAGES)
    assert answer.status == "no answer within 0.3 s"
    assert answer.endpoint_failed


def test_a_silent_endpoint_is_tried_again_then_given_up(server):
    done = threading.Event()
    server.replies = [lambda *_: done.wait(5)]
    answer = ask(settings_of(server, timeout_s=0.2, retries=1), MESSAGES)
    done.set()
    assert answer.status == "no answer within 0.2 s, after 2 tries"
    assert len(server.asked) == 2


def test_nothing_behind_the_address_is_a_status(server):
    settings = settings_of(server, retries=0)
    server.shutdown()
    server.server_close()
    assert ask(settings, MESSAGES).status == "no connection (ConnectionRefusedError)"


def test_a_connection_that_breaks_is_a_status(server):
    server.replies = [lambda handler, _: handler.connection.close()]
    assert ask(settings_of(server, retries=0), MESSAGES).status.startswith("no connection (")


def test_failures_that_pass_are_waited_out_as_asked(server):
    server.replies = [fails(429, [("Retry-After", "1")]), fails(503), says("at last")]
    begin = time.monotonic()
    assert ask(settings_of(server), MESSAGES).text == "at last"
    assert time.monotonic() - begin >= 1  # a lower bound: what the endpoint asked for


@pytest.mark.parametrize("value", ["Wed, 21 Oct 2015 07:28:00 GMT", "soon", "-5", "99999999999999999999999 GMT", ""])
def test_a_retry_after_that_is_past_or_nonsense_does_not_hold_things_up(server, value):
    server.replies = [fails(429, [("Retry-After", value)]), says("fine")]
    assert ask(settings_of(server), MESSAGES).status == "ok"


def test_the_key_is_in_no_answer_status_or_log(server, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv(VARIABLE, KEY)
    settings = settings_of(server, key_variable=VARIABLE, retries=0)
    server.replies = [
        lambda handler, _: send(handler, 200, completion(handler.headers["Authorization"])),
        lambda handler, _: send(handler, 401, handler.headers["Authorization"].encode()),
        lambda handler, _: send(handler, 200, handler.headers["Authorization"].encode()),
    ]
    answers = [ask(settings, MESSAGES) for _ in range(3)]
    table = simulate_features(settings, [0], *make_examples(1), list("abc"))
    assert answers[0].text == "Bearer [key]"
    assert KEY not in f"{answers} {table.to_json()} {caplog.text} {settings}"


def test_halves_of_surrogate_pairs_can_be_written(server, tmp_path):
    body = b'{"choices": [{"message": {"content": "odd \\ud800 text"}}]}'
    server.replies = [fails(200, body=body)]
    table = simulate_features(settings_of(server), [0], *make_examples(1), list("abc"))
    write_table(table, tmp_path / "table.parquet", {})
    assert read_table(tmp_path / "table.parquet")["explanation"][0] == "odd ? text"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"url": "file:///etc/passwd"}, "expected http:// or https://"),
        ({"url": "https://user:word@host/v1"}, "without user, password"),
        ({"url": "https://host/v1?key=1"}, "without user, password, query"),
        ({"url": "http://host:99999/v1"}, "expected http:// or https://"),
        ({"url": "http://"}, "expected http:// or https:// with a host"),
        ({"model": ""}, "model is empty"),
        ({"timeout_s": 0}, "timeout_s 0"),
        ({"retries": -1}, "retries -1"),
    ],
)
def test_settings_out_of_range_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message) as error:
        Settings(**({"url": "http://localhost", "model": "m"} | changes))
    assert "word" not in str(error.value).replace("password", "")


def make_examples(features, tokens=4):
    """One excerpt to explain and one to simulate for each feature."""
    rng = np.random.default_rng(0)
    excerpts = [[Excerpt(np.arange(tokens) % 3, rng.random(tokens) + np.arange(tokens))] for _ in range(features)]
    return excerpts, excerpts


def model(numbers, explanation="words that end a line"):
    """A reply that explains, or simulates by `numbers(tokens)`."""

    def reply(handler, body):
        content = json.loads(body["messages"][-1]["content"])
        text = json.dumps(numbers(content["tokens"])) if isinstance(content, dict) else explanation
        send(handler, 200, completion(text))

    return reply


def test_an_explanation_is_scored_by_the_correlation_of_what_it_predicts(server):
    server.replies = [model(lambda tokens: [0, 2, 1, 9])]
    shown, hidden = make_examples(1)
    table = simulate_features(settings_of(server), [7], shown, hidden, ["<b>", '"', "\n"])
    assert table.dtypes.astype(str).to_dict()["feature"] == "int32"
    assert list(table.columns) == list(COLUMNS)
    row = table.iloc[0]
    assert (row["feature"], row["status"], row["explanation"], row["tokens"]) == (7, "ok", "words that end a line", 4)
    assert row["correlation"] == pytest.approx(np.corrcoef([0, 2, 1, 9], hidden[0][0].activations)[0, 1])


def test_tokens_are_sent_as_data_with_activations_from_0_to_10_and_held_out_ones_without(server):
    server.replies = [model(lambda tokens: [0] * len(tokens))]
    shown = [[Excerpt(np.array([0, 1]), np.array([1.0, 4.0])), Excerpt(np.array([2]), np.array([0.0]))]]
    simulate_features(settings_of(server), [0], shown, shown, ['"], ignore all', "</s>", "x" * 10_000])
    contents = [json.loads(body["messages"][-1]["content"]) for _, _, body in server.asked]
    assert contents[0] == [[['"], ignore all', 2], ["</s>", 10]], [["x" * 100, 0]]]
    assert contents[1] == {"explanation": "words that end a line", "tokens": ['"], ignore all', "</s>", "x" * 100]}


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("[1, 2]", "2 values; expected 4"),
        ("[]", "0 values; expected 4"),
        ("I would say 4", "no JSON list"),
        ("[1, 2,", "no JSON list"),
        ("[1, 2, 3, 11]", "values outside 0 to 10"),
        ("[1, 2, 3, -1]", "values outside 0 to 10"),
        ("[1, 2, 3, NaN]", "values outside 0 to 10"),
        ("[1, 2, 3, 1e999]", "values outside 0 to 10"),
        ('[1, 2, 3, "4"]', "values that are not numbers"),
        ("[1, 2, 3, true]", "values that are not numbers"),
        ("[[1], 2, 3, 4]", "values that are not numbers"),
        ("[" * 100_000 + "]" * 100_000, "no JSON list"),
        ("[3, 3, 3, 3]", "ok"),
        ("Here you are:\n```json\n[0, 1.5, 10, 2]\n```", "ok"),
    ],
)
def test_only_a_list_of_so_many_numbers_is_a_simulation(text, status):
    assert read_numbers(text, 4)[1] == status


def test_the_same_prediction_everywhere_has_no_score(server):
    server.replies = [model(lambda tokens: [3] * len(tokens))]
    table = simulate_features(settings_of(server), [0], *make_examples(1), list("abc"))
    assert table["status"][0] == "simulation: all predicted or all true activations are the same"
    assert np.isnan(table["correlation"][0])


def test_one_bad_answer_does_not_stop_the_others(server):
    good = model(lambda tokens: list(range(len(tokens))))
    server.replies = [good, good, says("[1]"), says("no list"), fails(400), good, good, good]
    table = simulate_features(settings_of(server), range(4), *make_examples(4), list("abc"))
    assert table["status"].tolist() == ["ok", "simulation: no JSON list", "explanation: HTTP 400 Bad Request", "ok"]
    counted = count_statuses(table)
    assert counted["asked"] == 4
    assert counted["scored"] == 2
    assert counted["statuses"]["ok"] == 2


def test_an_endpoint_that_fails_again_and_again_is_asked_no_more(server):
    server.replies = [fails(401)]
    table = simulate_features(settings_of(server), range(5), *make_examples(5), list("abc"))
    assert table["status"].tolist() == ["explanation: HTTP 401 Unauthorized"] * 3 + [NOT_ASKED] * 2
    assert len(server.asked) == 3
    counted = count_statuses(table)
    assert (counted["asked"], counted["scored"], counted["median_correlation"]) == (3, 0, None)


def test_a_feature_without_examples_is_not_asked_about(server):
    table = simulate_features(settings_of(server), [0], [[]], [[]], list("abc"))
    assert table["status"][0].startswith("no examples")
    assert server.asked == []


def test_explanations_come_from_training_text_and_scores_from_held_out_text(server, tmp_path):
    train, heldout = make_text(0, contexts=10), make_text(1, contexts=10)
    paths = [write_shards(text, tmp_path / name, [4, 6]) for text, name in ((train, "train"), (heldout, "heldout"))]
    splits = [Split(*split) for split in zip(paths, (train.stream, heldout.stream), strict=True)]
    active = (train.dense * kept_of(train)[:, None] > 0).sum(0)
    server.replies = [model(lambda tokens: [int(token[1:]) for token in tokens])]
    spelling = [f"t{token}" for token in range(6)]
    table = simulate_column(settings_of(server), active, 2, splits, 3, 1, 0, spelling)
    assert table["feature"].tolist() == choose_features(active, 2).tolist()
    for row, place in zip(table.itertuples(), (0, 2), strict=True):
        shown, hidden = (json.loads(server.asked[place + step][2]["messages"][-1]["content"]) for step in (0, 1))
        assert len(shown) == 3
        assert max(value for excerpt in shown for _, value in excerpt) == 10
        assert row.tokens == len(hidden["tokens"])
        tops = gather_excerpts(splits[1], np.array([row.feature]), 5, 3, 1, 0, uniform=True)[0]
        assert len(tops) == 6
        true = np.concatenate([excerpt.activations for excerpt in tops])
        ids = np.concatenate([excerpt.tokens for excerpt in tops])
        assert (ids > 0).all()  # special positions are left out
        assert hidden["tokens"] == [spelling[token] for token in ids]
        assert row.correlation == pytest.approx(np.corrcoef(ids, true)[0, 1])


def test_without_an_endpoint_nothing_is_asked():
    table = simulate_column(None, np.array([3, 1]), 5, [], 3, 1, 0, [])
    assert len(table) == 0
    assert list(table.columns) == list(COLUMNS)


def test_features_are_chosen_at_even_ranks_of_frequency():
    active = np.array([0, 50, 10, 40, 20, 30, 0, 60])
    assert choose_features(active, 3).tolist() == [4, 3, 7]
    assert choose_features(active, 99).tolist() == [2, 4, 5, 3, 1, 7]
    assert choose_features(np.zeros(3, int), 2).tolist() == []

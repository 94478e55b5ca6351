"""What admins do over REST; `tests/test_authorization.py` has what others find (docs/protocol.md section 1)."""

from actions.tokens import Tokens
from beseda.keys import derive, signing_key
from storage.store import wall_clock
from tests.support.fixtures import StartServer
from tests.support.rest import PASSWORD, Rest, refused, succeeded


async def test_a_server_that_takes_registrations_by_invitation(start_server: StartServer) -> None:
    process = start_server({"auth.registration": "invite"})
    async with Rest(process) as rest:
        admin = await rest.register("admin")
        assert (await rest.get("/server")).json()["registration"] == "invite"
        body = {"email": "bob@example.org", "username": "bob", "password": PASSWORD}
        refused(await rest.post("/auth/register", body), 403, "invite_required")
        response = await rest.post("/admin/invites", {"uses": 1, "expires_in": 3600}, admin)
        assert response.status_code == 201
        made = response.json()
        assert set(made) == {"id", "code", "uses_left", "expires_at", "created_at", "created_by"}
        listed = (await rest.get("/admin/invites", admin)).json()
        assert listed == [{name: value for name, value in made.items() if name != "code"}]
        refused(await rest.post("/auth/register", {**body, "invite": "wrong"}), 403, "invite_required")
        succeeded(await rest.post("/auth/register", {**body, "invite": made["code"]}))
        again = {"email": "cat@example.org", "username": "cat", "password": PASSWORD, "invite": made["code"]}
        refused(await rest.post("/auth/register", again), 403, "invite_required")
        assert (await rest.get("/admin/invites", admin)).json() == []


async def test_an_invitation_is_revoked_once(start_server: StartServer) -> None:
    async with Rest(start_server()) as rest:
        admin = await rest.register("admin")
        made = succeeded(await rest.post("/admin/invites", {}, admin))
        assert (made["uses_left"], made["expires_at"]) == (1, None)
        answer = await rest.delete(f"/admin/invites/{made['id']}", admin)
        assert (answer.status_code, answer.content) == (204, b"")
        for number in (made["id"], 0, "x", 2**53):
            refused(await rest.delete(f"/admin/invites/{number}", admin), 404, "not_found")
        for name, most in {"uses": 10_000, "expires_in": 3650 * 86_400}.items():
            wrong: list[object] = [0, -1, most + 1, 2**64, True, 1.0, "1", []]
            for value in wrong:
                problem = refused(await rest.post("/admin/invites", {name: value}, admin), 422, "invalid")
                assert [error["field"] for error in problem["errors"]] == [name]
            assert (await rest.post("/admin/invites", {name: most}, admin)).status_code == 201
        for query in ({"limit": 0}, {"limit": 201}, {"before": "x"}):
            problem = refused(await rest.get("/admin/invites", admin, **query), 422, "invalid")
            assert [error["field"] for error in problem["errors"]] == list(query)
        refused(await rest.post("/admin/invites", None, admin), 400, "malformed")
        refused(await rest.put("/admin/invites", b"", admin), 404, "not_found")


async def test_an_access_token_that_has_run_out_is_told_so_to_an_admin_alone(
    start_server: StartServer,
) -> None:
    process = start_server()
    async with Rest(process) as rest:
        admin, other = await rest.register("admin"), await rest.register("other")
        tokens = Tokens(derive(signing_key(process.data_dir), "tokens"), 0, 0, wall_clock)
        for person, status, code in ((admin, 401, "unauthorized"), (other, 404, "not_found")):
            claims = tokens.read(person.token, "access")
            expired = tokens.issue_access(claims.user_id, claims.session_id)
            headers = {"Authorization": f"Bearer {expired}"}
            refused(await rest.request("GET", "/admin/invites", headers=headers), status, code)
            assert (await rest.post("/auth/logout", None, person)).status_code == 204
            refused(await rest.request("GET", "/admin/invites", headers=headers), 404, "not_found")

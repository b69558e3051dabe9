# SPDX-License-Identifier: Apache-2.0
"""Mode watch knows as much about a stall as mode all: some of the reproductions again, at least one for
each way in which a handshake becomes late or fails. `make confusion` runs all of them."""
import pytest

import tracing
from test_causes_configuration import test_expired, test_http_request, test_no_client_certificate, test_server_refused
from test_causes_datagrams import test_lost_timer, test_own_bio, test_timer_not_driven
from test_causes_host import (test_accept_loop, test_certificate_pending, test_large_bundle, test_mutex, test_ocsp,
                              test_sni_callback)
from test_causes_names import test_legacy_renegotiation, test_no_name
from test_causes_plaintext import test_access_list, test_ftp
from test_causes_program import test_not_resuming, test_wrong_interest_among_others
from test_causes_servers import test_memcached, test_mosquitto
from test_causes_weighed import (test_asyncio_computes, test_custom_bio, test_end_ignored, test_fork_lock,
                                 test_late_answer, test_late_server_and_the_client_leaves, test_poll_spin,
                                 test_redis_script, test_two_on_one)

__all__ = [name for name in globals() if name.startswith("test_")]


@pytest.fixture(autouse=True)
def in_mode_watch(monkeypatch):
    monkeypatch.setattr(tracing, "MODE", {"TLSTALL_MODE": "watch"})

# RFC 6455 again, where a WebSocket keeps its request up to its end, for the
# access log.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Chat::Server;

$Chat::Server::WEBSOCKET = 'chat_websocket log=close;';

do "$FindBin::Bin/websocket.t" or die $@ || $!;

# The WAL does not grow without bound where somebody reads all the time: a
# commit begins it anew only at a moment without readers, so the server makes
# such a moment.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX ();
use Test::More;

use Chat::HTTP;
use Chat::Server qw(wait_for);

use constant { READERS => 4, POSTS => 60, SIZE => 400_000 };

my $server = Chat::Server->new(workers => 2, listen => 'reuseport',
                               zone => '64m', locations => <<'END')->start;
        chat_max_message_size 500k;
        client_max_body_size 2m;

        location = /messages {
            chat_history  chat;
            chat_publish  chat new_message;
        }

        location /app/ { chat_websocket; }
        location = /chat_status { chat_status; }
END
my $dir = $server->dir;
my $wal = $server->database . '-wal';
my @pids;

for my $i (1 .. READERS) {
    my $pid = fork();
    die "fork: $!" unless defined $pid;

    if ($pid == 0) {
        my $http = Chat::HTTP->new(port => $server->port, timeout => 60);
        my $wrong = 0;

        while (!-e "$dir/stop") {
            $wrong++ if $http->get('/messages?limit=3')->{status} != 200;
        }

        POSIX::_exit($wrong ? 1 : 0);
    }

    push @pids, $pid;
}

my $http = Chat::HTTP->new(port => $server->port, timeout => 60);
my ($status, $max) = (201, 0);

for (1 .. POSTS) {
    my $res = $http->post('/messages', { content => 'x' x SIZE });

    $status = $res->{status} if $res->{status} != 201;
    $max = -s $wal if -s $wal > $max;
}

is($status, 201, 'all POSTs are taken');
note("the WAL had up to $max bytes, of " . POSTS * SIZE . ' that were posted');

ok(wait_for(20, sub { -s $wal < 16 * 1024 * 1024 }),
   'the WAL is small, while there are readers')
    or diag(-s $wal);

ok(wait_for(20, sub {
       my ($n) = $http->get('/chat_status')->{body} =~ /"wal_bytes":(\d+)/;
       return $n == -s $wal;
   }),
   'chat_status knows it, without another POST');

Chat::Server::spew("$dir/stop", '');

my @bad = grep { waitpid($_, 0); $? != 0 } @pids;

is(scalar @bad, 0, 'every GET was answered');

# JSON::PP would need long for so much text
my $n = 0;
my $after = 0;

while ((my @ids = $http->get("/messages?limit=10&after=$after")->{body}
                  =~ /\{"id":(\d+),/g) > 0)
{
    $after = $ids[-1];
    $n += @ids;
}

is($n, POSTS, 'history is whole');

$server->finish;

done_testing();

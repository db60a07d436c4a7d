# The disk takes no more: POSTs get their 503, history and subscribers go on,
# nothing that got a 201 is lost, and nothing else was stored or sent.
#
# A limit of the file size stands for the full disk: write() fails in the same
# place.  The signal that comes with it is ignored, as a full disk sends none.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::HTTP qw(from_json);
use Chat::Server;
use Chat::WebSocket;

# dash counts in units of 512 bytes, bash in 1024: 1 or 2 MB
my $server = Chat::Server->new(shell => "trap '' XFSZ\nulimit -f 2048")->start;
my $http = Chat::HTTP->new(port => $server->port);
my $ws = Chat::WebSocket->established(port => $server->port);

$ws->subscribe('chat');

my (@stored, $refused);

for my $n (1 .. 1000) {
    my $res = $http->post('/messages', { content => "$n " . 'x' x 10_000 });

    if ($res->{status} == 201) {
        my $e = $ws->next_event;

        push @stored, from_json($res->{body});
        die "event $n" unless ($e->{data} || '') eq $res->{body};
        next;
    }

    is($res->{status}, 503, 'at last the store takes no more: 503');
    like($res->{headers}{'retry-after'} || '', qr/^\d+$/, 'Retry-After');
    like(from_json($res->{body})->{error}, qr/\S/, 'an error in JSON');
    unlike($res->{body}, qr{/}, 'that names no path');
    last if ++$refused == 5;
}

is($refused, 5, 'five messages were refused');
cmp_ok(scalar @stored, '>', 10, 'many were taken before');

ok($ws->nothing_waits, 'what was refused was not sent');
is(from_json($http->get('/chat_status')->{body})->{store}{batches_failed}, 5,
   'chat_status counts them');


sub history_is {
    my ($name) = @_;

    is_deeply([ map { $_->{id} } @{ $http->history('/messages') } ],
              [ map { $_->{id} } @stored ], $name);
}


history_is('history has what was taken, and no more');
ok($ws->subscribe('other'), 'subscribers are served');

# nginx itself says so
$server->expect_log(qr/failed .*\(27: File too large\)/);
$server->stop;

delete $server->{shell};
$server->start;

$http = Chat::HTTP->new(port => $server->port);
history_is('the same after a restart with room');

my $res = $http->post('/messages', { content => 'room again' });

is($res->{status}, 201, 'with room, messages are taken again');
cmp_ok(from_json($res->{body})->{id}, '>', $stored[-1]{id}, 'ids go on');

$server->finish;

done_testing();

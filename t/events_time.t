# chat_events: how long polls wait (takes 55 s: the times of the protocol can't
# be configured).  The rows S are those of t/README.md's table.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Select;
use Test::More;
use Time::HiRes qw(time);

use Chat::Events qw(path_of);
use Chat::HTTP;
use Chat::Pusher;

use constant { TIMEOUT => 25, MOST => 55, COARSE => 0.1 };     # s; of clocks

my $t = Chat::Pusher->new(workers => 2,
    more => 'location /events/ { chat_events; }');


# A poll that waits, and a time before it does.

sub begin {
    my $http = Chat::HTTP->new(port => $t->port);
    my $start = time();

    $http->send_raw($http->format_request('GET', path_of('quiet', @_),
                                          { Accept => 'application/json' }));

    return ($http, $start);
}


sub waits { return !IO::Select->new($_[0]->socket)->can_read(0) }


sub is_over {
    my ($http, $seconds, $name) = @_;

    my $res = Chat::Events::answer($http, $seconds);

    is($res->{status}, 200, "$name: 200");
    is_deeply($res->{json}{events}, [], "$name: an empty list");
}


# all of these wait at the same time

my ($poll, $start) = begin();
my ($later) = begin(timeout => TIMEOUT + 15);
my ($most, $began) = begin(timeout => 1000);

is_over($poll, TIMEOUT + 10, 'S10: without timeout=');
cmp_ok(time() - $start, '>=', TIMEOUT - COARSE, 'S10: behind 25 s');
ok(waits($later), 'S10: one with a longer timeout= still waits');

is_over($later, TIMEOUT + 10, 'S10: with timeout=40');
ok(waits($most), 'S10: the longest still waits');

is_over($most, MOST, 'S10: with timeout=1000');
cmp_ok(time() - $began, '>=', MOST - COARSE, 'S10: at most 55 s');

$t->finish;
done_testing;

# What is signed (P79-P84): a thousand requests, valid in all the ways that
# clients write them, are accepted; whatever is changed in one by a single
# character is refused with 401, the reason, and never the right signature.
# Of ten of them that is seen at every place, of three others with more kinds
# of changes at each.  unit/pusher/api_auth_random_test.c does it for a
# thousand, without HTTP.
#
# CHAT_SEED=N repeats a run.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Encode ();
use Test::More;

use Chat::API qw(escape fault_of_text);
use Chat::HTTP qw(from_json json_bytes);
use Chat::Pusher;
use Chat::Server qw(SCALE);

my $seed = defined $ENV{CHAT_SEED} ? $ENV{CHAT_SEED} : time() ^ $$ << 8;
srand($seed);
diag("CHAT_SEED=$seed");

my $t = Chat::Pusher->new(workers => 2, more => <<'END_OF_MORE');
        location /apps/ { chat_api; }
        location /users/ { chat_api; }
        location /deep/er/apps/ { chat_api; }
END_OF_MORE
my @apis = map { Chat::API->new(port => $t->port, prefix => $_) }
           '', '/deep/er';


# ---- at random

sub pick { return $_[ int rand @_ ] }


sub text {
    my ($length, @from) = @_;

    return join '', map { pick(@from) } 1 .. 1 + int rand $length;
}


my @name = ('a' .. 'z', 'A' .. 'Z', 0 .. 9, '_', '-', '=', '@', ',', '.', ';');
my @words = ('a', 'Z', 7, ' ', '+', '%', '%2C', '%2c', ',', '&', '=', '?', '#',
             '/', ':', '"', '\\', "'", '<', '[]', '~', "\n", "\r", "\t", "\0",
             "\x7f", map { Encode::encode('UTF-8', $_) }
                     "\x{e9}", "\x{2028}", "\x{1f600}", "\x{4e2d}");

# not of UTF-8
my @bytes = (@words, "\xff", "\xc3", "\x80");


sub channel { return pick('', 'private-', 'cache-') . text(30, @name) }


# One that the API gives no meaning.

sub parameter {
    return pick('x', 'X-', '_', 'z%', '') . text(6, @words, 'Ab', '-', '[0]');
}


# A value is written plain where that is possible, escaped where it must be,
# or all the same.

sub write_random {
    my ($name, $value) = @_;

    for ($name, $value) {
        my $hex = pick('%%%02X', '%%%02x');
        my $more = pick('', ',:;@/?!$*()\'', ',');
        my $some = rand() < 0.3;

        $_ = join '', map {
            my $escape = index($more, $_) < 0 && !/[A-Za-z0-9_.~-]/
                         || $some && rand() < 0.2;

            $_ eq ' ' && rand() < 0.5 ? '+'
            : $escape ? sprintf $hex, ord : $_;
        } split //;
    }

    return $name if $value eq '' && $name ne '' && rand() < 0.3;
    return "$name=$value";
}


sub upper {
    my ($name) = @_;

    return rand() < 0.7 ? $name
           : join '', map { rand() < 0.5 ? uc : $_ } split //, $name;
}


sub shuffle {
    my @list = @_;

    return map { splice @list, int(rand @list), 1 } 1 .. @list;
}


# Equal names keep their order, which is signed: the rest is shuffled.

sub shuffle_pairs {
    my (@pairs) = @_;
    my %queue;

    push @{$queue{ Chat::API::lower($_->[0]) }}, $_ for @pairs;

    return map { shift @{$queue{$_}} }
           shuffle(map { Chat::API::lower($_->[0]) } @pairs);
}


sub random_request {
    my @query = map { (parameter(), rand() < 0.2 ? '' : text(12, @bytes)) }
                1 .. int rand 6;

    push @query, @query[0, 1] if @query && rand() < 0.2;
    push @query, uc $query[0], text(4, @bytes) if @query && rand() < 0.2;

    my %o = (order => \&shuffle_pairs, write => sub {
        my ($name, $value) = @_;
        return write_random(upper($name), $value);
    });
    my $event = sub {
        return { name => Encode::decode('UTF-8', text(9, @words)) . 'e',
                 channel => channel(),
                 data => Encode::decode('UTF-8', text(200, @words)) };
    };
    my $json = sub {
        my $body = json_bytes($_[0]);

        # blanks before values; in data they do no harm
        $body =~ s/":"/'":' . pick('', ' ', "\n") . '"'/ge
            if $body !~ /\\/;
        return $body;
    };
    my $path_of = sub {
        return join '', map { rand() < 0.2 ? sprintf '%%%02x', ord
                              : /[\w.-]/ || rand() < 0.5 ? $_ : escape($_) }
                        split //, $_[0];
    };

    my $kind = int rand 5;

    if ($kind == 0) {
        push @query, filter_by_prefix => text(8, @bytes) if rand() < 0.7;
        return ('GET', 'channels', %o, query => \@query);
    }

    if ($kind == 1) {
        push @query, info => pick('subscription_count', 'occupied',
                                  'occupied,subscription_count', '')
            if rand() < 0.7;
        return ('GET', 'channels/' . $path_of->(channel()), %o,
                query => \@query);
    }

    $o{query} = \@query;

    return ('POST', 'users/' . $path_of->('u' . text(9, @name))
                    . '/terminate_connections', %o, body => pick('', '{}'))
        if $kind == 2;

    return ('POST', 'events', %o, body => $json->($event->())) if $kind == 3;

    return ('POST', 'batch_events', %o, body => $json->({
                batch => [ map { $event->() } 1 .. 1 + int rand 3 ] }));
}


my @kept;

subtest 'P79 P80: 1,000 valid requests' => sub {
    my (%seen, @bad);

    for my $n (1 .. 1000) {
        my $api = pick(@apis);
        my ($method, $what, %o) = random_request();
        my $target = $api->target($method, $api->path($what), %o);
        my $res = $api->call_target($method, $target, %o);

        $seen{ $what =~ s{/.*}{}r }++;

        # the second way to a signature has the same opinion
        my $e = $api->expected($method, $target);
        die "not well signed: $target" if $e->{given} ne $e->{right};

        push @kept, [ $api, $method, $target, $o{body} ] if $n % 100 == 0;

        next if $res->{status} == 200 && ref eval { from_json($res->{body}) };

        push @bad, "$n: $method $target: $res->{status} $res->{body}";
    }

    is(join("\n", @bad[0 .. ($#bad < 4 ? $#bad : 4)]), '',
       'P79 P80: all are accepted') or diag(scalar(@bad) . ' are not');
    is(join(' ', sort keys %seen), 'batch_events channels events users',
       'of all kinds');
};


# ---- single characters

my @letters = ('0' .. '9', 'a' .. 'z', 'A' .. 'Z', '_', '-', '.', ',');
my @marks = ('&', '=', '%', '+', '/', '?', ';', ':');


# A character more, less, or another one, at each place of a text: some other
# ones, or each of them.

sub mutations {
    my ($text, $each) = @_;

    my @list;

    for my $at (0 .. length $text) {
        my $before = substr $text, 0, $at;

        push @list, $before . pick(@letters) . substr $text, $at;
        last if $at == length $text;

        my $char = substr $text, $at, 1;
        my $after = substr $text, $at + 1;
        my @others = (@letters, @marks);

        # of its own kind, in another case, one that can have a meaning, any
        @others = (pick($char =~ /[0-9a-f]/ ? (0 .. 9, 'a' .. 'f')
                                            : @letters),
                   $char =~ /[A-Z]/ ? lc $char : uc $char, pick(@marks),
                   pick(@letters)) unless $each;

        push @list, $before . $after, $before . $char . $char . $after,
                    map { $before . $_ . $after } @others;
    }

    return grep { $_ ne $text } @list;
}


# What is wrong with the answer to a changed request: it has to be 401.

sub fault {
    my ($api, $method, $target, $body) = @_;

    my $res = $api->call_target($method, $target, body => $body);

    return "$res->{status}" if $res->{status} != 401;
    return fault_of_text($res);
}


# What nginx takes for a request of the location: it has answers of its own to
# the rest.

sub is_routed {
    my ($api, $path) = @_;

    return index($path, "$api->{prefix}/apps/") == 0
           && $path !~ m{[?\#\s]|%(?![0-9A-Fa-f]{2})|%00}i;
}


sub none_passes {
    my ($name, $tried, $bad) = @_;

    is(join("\n", @$bad[0 .. ($#$bad < 9 ? $#$bad : 9)]), '',
       "$name: $tried changes, each is refused")
        or diag(scalar(@$bad) . ' faults');
}


# An event that arrives for one of them would be seen here.
my $ws = $t->ws;
Chat::Pusher::subscribe_to($ws, 'room');

my %sample = (
    'POST events' => [ 'POST', 'events', body =>
        '{"name":"greet","channel":"room","data":"{\"msg\":\"hi\"}"}' ],
    'GET channels/NAME' => [ 'GET', 'channels/a%2Cb', query =>
        [ info => 'subscription_count', x => "a b,\x{e9}+" ] ],
    'POST terminate_connections' =>
        [ 'POST', 'users/user-7/terminate_connections', body => '{}' ],
);

for my $name (sort keys %sample) {
    my ($method, $what, %o) = @{$sample{$name}};
    my $api = $apis[0];
    my $target = $api->target($method, $api->path($what), %o);
    my ($path, $query) = split /\?/, $target;
    my $text = $api->expected($method, $target);

    subtest "$name: P81: parameters" => sub {
        my (@bad, $same);
        my @all = mutations($query, $name eq 'POST events' && SCALE == 1);

        for my $changed (@all) {
            my $e = $api->expected($method, "$path?$changed");

            # names in another case, %2c for %2C: that is the same request
            if ($e->{text} eq $text->{text}
                && defined $e->{given} && $e->{given} eq $text->{given})
            {
                my $res = $api->call_target($method, "$path?$changed", %o);

                $same++;
                push @bad, "$changed: $res->{status}, is the same"
                    if $res->{status} != 200;
                next;
            }

            my $fault = fault($api, $method, "$path?$changed", $o{body});
            push @bad, "$changed: $fault" if $fault ne '';
        }

        none_passes($name, scalar @all, \@bad);
        cmp_ok($same, '<', @all / 3, 'most are other requests');
    };

    subtest "$name: P81: path" => sub {
        my @bad;
        my @all = grep { is_routed($api, $_) } mutations($path);

        # those of another endpoint, of another app, and of none, too
        for my $changed (@all) {
            my $fault = fault($api, $method, "$changed?$query", $o{body});
            push @bad, "$changed: $fault" if $fault ne '';
        }

        none_passes($name, scalar @all, \@bad);
    };

    subtest "$name: P81: method" => sub {
        my @bad;
        my @all = mutations($method);

        for my $changed (grep { /^[A-Z_]+$/ } @all) {
            my $fault = fault($api, $changed, $target, $o{body});
            push @bad, "$changed: $fault" if $fault ne '';
        }

        none_passes($name, scalar @all, \@bad);
    };

    next unless defined $o{body};

    subtest "$name: P83: body" => sub {
        my @bad;
        my @all = mutations($o{body});

        for my $changed (@all) {
            my $fault = fault($api, $method, $target, $changed);
            push @bad, "$changed: $fault" if $fault ne '';
        }

        none_passes($name, scalar @all, \@bad);
    };
}

# ---- at every place

# A text with one character replaced, and with one left out, for each of them.

sub each_place {
    my ($text, @others) = @_;

    return map {
        my $at = $_;
        my $char = substr $text, $at, 1;
        my @list = ($text) x 2;

        substr $list[0], $at, 1, pick(grep { $_ ne $char } @others);
        substr $list[1], $at, 1, '';
        @list;
    } 0 .. length($text) - 1;
}


# The changed requests: [ what has changed, method, target, body ].

sub all_changes {
    my ($api, $method, $target, $body) = @_;
    my ($path, $query) = split /\?/, $target, 2;

    return (
        map({ [ 'method', $_, $target, $body ] }
            grep { length } each_place($method, 'A' .. 'Z', '_')),
        map({ [ 'path', $method, "$_?$query", $body ] }
            grep { is_routed($api, $_) } each_place($path, @letters)),
        map({ [ 'parameters', $method, "$path?$_", $body ] }
            each_place($query, @letters, '&', '=', '%', '+', '/', ';', ':')),
        map({ [ 'body', $method, $target, $_ ] }
            each_place(defined $body ? $body : '', @letters, '"', ' ')),
    );
}


for (@kept) {
    my ($api, $method, $target, $body) = @$_;

    subtest "P81 P83: each place of $method $target" => sub {
        my $right = $api->expected($method, $target);
        my @all = all_changes($api, $method, $target, $body);
        my $http = Chat::HTTP->new(port => $t->port);
        my (%tried, %same, @bad);

        # nginx ends a connection after 1,000 requests
        while (my @some = splice @all, 0, 50) {
            if (keys %tried && $tried{all} % 900 > 800) {
                $http = Chat::HTTP->new(port => $t->port);
            }

            $http->send_raw(join '', map {
                Chat::HTTP->format_request(@$_[1, 2], {}, $_->[3]);
            } @some);

            for (@some) {
                my ($part, @changed) = @$_;
                my $res = $http->read_response($changed[0]);
                my $e = $api->expected(@changed);
                my $is_same = $part ne 'body' && $e->{text} eq $right->{text}
                              && defined $e->{given}
                              && $e->{given} eq $right->{given};

                $tried{$part}++;
                $tried{all}++;
                $same{$part}++ if $is_same;

                @$res{qw(right given secret)} = (@$e{qw(right given)},
                                                 $api->{secret});

                my $fault = $res->{status} != ($is_same ? 200 : 401)
                            ? $res->{status} : $is_same ? ''
                            : fault_of_text($res);

                push @bad, "$part: @changed: $fault" if $fault ne '';
            }
        }

        is(join("\n", @bad[0 .. ($#bad < 4 ? $#bad : 4)]), '',
           "$tried{all} changes") or diag(scalar(@bad) . ' faults');
        is(join(' ', sort keys %same), keys %same ? 'parameters' : '',
           'the same are none but spellings of parameters');
        cmp_ok($tried{path}, '>', 4, 'paths are among them');
    };
}

# the ones that are the same have been published, no other
my %got = map { $_->{data} => 1 } Chat::Pusher::events_of($ws);
is(join(' ', keys %got), '{"msg":"hi"}', 'nothing else was published');

$t->finish;

done_testing();

package Chat::Fallback;

# A client of pusher-js's HTTP fallback, with nothing hidden: lines, and the
# requests that bring them.  Where a test wants to send commands and to read
# events, it takes the place of a Chat::WebSocket.

use strict;
use warnings;

use Exporter 'import';
use Time::HiRes qw(time);

use Chat::HTTP qw(from_json json_bytes);
use Chat::Server qw(APP_KEY SCALE);

our @EXPORT_OK = qw(fresh_session TYPE);

use constant TYPE => { 'Content-Type' => 'application/json' };

my $serial = 0;


# The two parts of a path that a client chooses.

sub fresh_session {
    return sprintf '%d/%s', int rand 1000,
                   join '', map { (0 .. 9, 'a' .. 'v')[rand 32] } 1 .. 8;
}


# new(port => N, polling => 1, key => KEY, token => TOKEN, session => PARTS,
#     prefix => '/pusher', headers => {}, tls => 1, query => TEXT)
#
# Nothing is sent yet.

sub new {
    my ($class, %args) = @_;

    return bless {
        timeout => 10, prefix => '/pusher', key => APP_KEY, headers => {},
        query => 'protocol=7&client=js&version=8.6.0',
        session => fresh_session(), lines => '', units => 0, queue => [],
        workers => {}, %args,
    }, $class;
}


# One that has got its socket id.

sub established {
    my ($class, %args) = @_;

    my $self = $class->new(%args);

    $self->receive;

    my $line = $self->next_line;
    die 'no "o": ' . ($line // 'the end') unless defined $line && $line eq 'o';

    my $e = $self->next_event;
    die 'not established: ' . ($e->{raw} || join ' ', %$e)
        unless ($e->{event} || '') eq 'pusher:connection_established';

    $self->{established} = $e;
    $self->{socket_id} = from_json($e->{data})->{socket_id};

    return $self;
}


sub socket_id { $_[0]{socket_id} }


sub path {
    my ($self, $kind) = @_;

    my $token = defined $self->{token} ? ";$self->{token}" : '';

    return "$self->{prefix}/app/$self->{key}$token/$self->{session}/$kind?"
           . ($kind eq 'xhr_send' ? '' : "$self->{query}&")
           . 't=' . int(time() * 1000) . '&n=' . ++$serial;
}


# A connection of its own, which may be another worker's.

sub connection {
    my ($self) = @_;

    return Chat::HTTP->new(port => $self->{port}, tls => $self->{tls},
                           timeout => $self->{timeout});
}


# Begins a request that receives, and leaves the one before as it is.  Returns
# its connection.

sub receive {
    my ($self, %o) = @_;

    my $http = $o{http} || $self->connection;

    $http->send_raw($http->format_request('POST',
        $self->path($o{kind}
                    || ($self->{polling} ? 'xhr' : 'xhr_streaming')),
        { %{ TYPE() }, %{ $self->{headers} } }, ''));

    $self->{http} = $http;
    $self->{head} = undef;
    $self->{units} = 0;
    delete @$self{qw(status ended)};

    return $http;
}


# Reads until the test is true; false at the end of the answer, or of the time.

sub read_until {
    my ($self, $end, $test) = @_;

    my $http = $self->{http};

    while (!$test->()) {
        return undef if $self->{ended};

        next if $self->take;

        if (!$http->fill($end)) {
            $self->{ended} = 'broken' if $end > time();
            return undef;
        }
    }

    return 1;
}


# Takes the next piece of the answer off the connection's buffer; false where
# it is not whole.

sub take {
    my ($self) = @_;

    my $buffer = \$self->{http}{buffer};

    if (!defined $self->{head}) {
        return 0 unless $$buffer =~ s/^(HTTP.*?\r\n)\r\n//s;

        $self->{head} = $1;
        ($self->{status}) = $self->{head} =~ m{^HTTP/1\.1 (\d+)};
        $self->{workers}{$1} = 1 if $self->{head} =~ /^X-Worker: (\d+)/mi;
        $self->{left} = $self->{head} =~ /^Content-Length: (\d+)/mi
                        ? $1 : undef;
        $self->{ended} = 'empty' if defined $self->{left} && !$self->{left};
        return 1;
    }

    if (defined $self->{left}) {
        return 0 if length $$buffer < $self->{left};
        $self->{lines} .= substr $$buffer, 0, $self->{left}, '';
        $self->{ended} = 'whole';
        return 1;
    }

    return 0 unless $$buffer =~ /^([0-9a-fA-F]+)\r\n/;

    my ($size, $skip) = (hex $1, length($1) + 2);

    return 0 if length $$buffer < $skip + $size + 2;

    $self->{lines} .= substr $$buffer, $skip, $size;
    $self->{units} += $size;
    substr($$buffer, 0, $skip + $size + 2, '');
    $self->{ended} = 'whole' if $size == 0;

    return 1;
}


# The rest of the answer of a former request, which must end: what is left of
# its body, in chunks, with the last one.

sub rest_of {
    my ($self, $http) = @_;

    my $end = time() + $self->{timeout} * SCALE;

    while ($http->{buffer} !~ /(?:\A|\r\n)0\r\n\r\n\z/) {
        return 'no end' unless $http->fill($end);
    }

    $http->{buffer} =~ s/^HTTP.*?\r\n\r\n//s;

    return $http->{buffer};
}


# The next line, without its end, or undef.  A client that polls asks again
# behind each answer.

sub next_line {
    my ($self, $timeout) = @_;

    my $end = time() + ($timeout || $self->{timeout}) * SCALE;

    while (1) {
        $self->read_until($end, sub { $self->{lines} =~ /\n/ });

        return $1 if $self->{lines} =~ s/^([^\n]*)\n//;

        return undef unless $self->{polling} && ($self->{status} || 0) == 200
                            && ($self->{ended} || '') ne 'broken'
                            && $end > time();

        $self->receive(http => $self->{keep} ? $self->{http} : undef);
    }
}


# The next event, as Chat::WebSocket has it: { event, channel, data, raw };
# { close => CODE, reason => TEXT }; { nothing => 1 } when the time is over;
# { eof => 1 } at the end of the answer.  Heartbeats are counted, and answered
# by a client that streams.

sub next_event {
    my ($self, $timeout) = @_;

    while (!@{ $self->{queue} }) {
        my $line = $self->next_line($timeout);

        if (!defined $line) {
            return $self->{ended} ? { eof => 1 } : { nothing => 1 };
        }

        my ($kind, $rest) = $line =~ /^(.)(.*)$/s
            or die 'an empty line';

        if ($kind eq 'h') {
            $self->{beats}++;
            $self->send_list([]) unless $self->{polling} || $self->{deaf};

        } elsif ($kind eq 'a') {
            die "not ASCII: $line" if $line =~ /[^\x20-\x7e]/;

            for my $raw (@{ from_json($rest) }) {
                utf8::encode($raw);
                push @{ $self->{queue} }, { %{ from_json($raw) },
                                            raw => $raw };
            }

        } elsif ($kind eq 'c') {
            my ($code, $reason) = @{ from_json($rest) };
            return { close => $code, reason => $reason };

        } else {
            die "an odd line: $line";
        }
    }

    return shift @{ $self->{queue} };
}


# Sends an array; returns the answer.  Each is a request of its own.

sub send_list {
    my ($self, $list, %o) = @_;

    my $res = ($o{http} || $self->connection)->request('POST',
        $self->path('xhr_send'), { %{ TYPE() }, %{ $self->{headers} } },
        ref $list ? json_bytes($list) : $list);

    $self->{workers}{ $res->{headers}{'x-worker'} } = 1
        if $res->{headers}{'x-worker'};

    return $res;
}


sub send_text {
    my ($self, $text) = @_;

    return $self->send_list([ $text ]);
}


# An event, whose strings are characters.

sub send_event {
    my ($self, $event) = @_;

    my $text = json_bytes($event);

    utf8::decode($text);

    my $res = $self->send_text($text);

    die "xhr_send: $res->{status}" unless $res->{status} == 204;

    return $res;
}


sub disconnect { $_[0]{http}->close }


1;

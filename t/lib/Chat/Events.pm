package Chat::Events;

# A client of chat_events by raw HTTP: a stream of server-sent events, parsed as
# the WHATWG's HTML standard says, and the parts of a long poll.

use strict;
use warnings;

use Exporter 'import';
use Time::HiRes qw(time);

use Chat::HTTP qw(from_json);
use Chat::Server qw(SCALE APP_KEY);

our @EXPORT_OK = qw(path_of poll);


# /events/KEY?channels=a,b&more...

sub path_of {
    my ($channels, %more) = @_;

    my $key = delete $more{key} || APP_KEY;

    return "/events/$key?channels=$channels"
           . join '', map { "&$_=$more{$_}" } sort keys %more;
}


# new(port => N, path => P or channels => 'a,b', id => LAST EVENT'S ID,
#     headers => {}, version => '1.0', tls => 1, method => 'GET')
#
# Reads the head of the answer, and of a 200 no more than that.

sub new {
    my ($class, %args) = @_;

    my $self = bless { version => '1.1', method => 'GET', raw => '',
                       text => '', %args }, $class;

    $self->{path} = path_of($self->{channels}) unless defined $self->{path};

    my %headers = (Host => 'localhost', Accept => 'text/event-stream',
                   %{ $self->{headers} || {} });
    $headers{'Last-Event-ID'} = $self->{id} if defined $self->{id};

    my $http = $self->{http} = Chat::HTTP->new(port => $self->{port},
                                               tls => $self->{tls});

    $http->send_raw("$self->{method} $self->{path} HTTP/$self->{version}\r\n"
                    . join('', map { "$_: $headers{$_}\r\n" }
                               sort keys %headers)
                    . "\r\n");

    my $end = time() + 10 * SCALE;

    while ($http->{buffer} !~ /\r\n\r\n/) {
        $http->fill($end) or return $self;
    }

    my ($head) = $http->{buffer} =~ /\A(.*?\r\n)\r\n/s;

    ($self->{status}) = $head =~ m{^HTTP/1\.1 (\d+)};
    $self->{head} = $head;

    while ($head =~ /^([^:\r\n]+):[ \t]*(.*?)[ \t]*\r$/mg) {
        $self->{answer}{lc $1} = $2;
    }

    if ($self->{status} != 200) {
        $self->{body} = $http->read_response->{body};
        return $self;
    }

    substr($http->{buffer}, 0, length($head) + 2, '');
    $self->{chunked} = ($self->{answer}{'transfer-encoding'} || '')
                       eq 'chunked';

    return $self;
}


# A client that was let in, behind the first block of its stream: {id} is where
# it begins, {first} that block.

sub open {
    my ($class, %args) = @_;

    my $self = $class->new(%args);

    die 'events: ' . ($self->{head} || 'no answer') . ($self->{body} || '')
        unless ($self->{status} || 0) == 200;

    $self->{first} = $self->block(10);
    die 'events: no first block' unless $self->{first}{id};

    return $self;
}


sub header { return $_[0]{answer}{lc $_[1]} }
sub id     { return $_[0]{last} }
sub close  { $_[0]{http}->close }
sub socket { return $_[0]{http}->socket }


# More text; false where none comes in time, or at the end: then {ended} is
# 'well', or 'cut'.

sub fill {
    my ($self, $end) = @_;

    my $http = $self->{http};

    while (1) {
        if ($self->{chunked}) {
            if ($http->{buffer} =~ /\A([0-9a-f]+)\r\n/i) {
                my ($size, $skip) = (hex $1, length($1) + 2);

                if (length $http->{buffer} >= $skip + $size + 2) {
                    $self->{text} .= substr $http->{buffer}, $skip, $size;
                    substr $http->{buffer}, 0, $skip + $size + 2, '';
                    return 1 if $size;

                    $self->{ended} = 'well';
                    return 0;
                }
            }

        } elsif (length $http->{buffer}) {
            $self->{text} .= $http->{buffer};
            $http->{buffer} = '';
            return 1;
        }

        next if $http->fill($end);
        return 0 if time() > $end;

        $self->{ended} = $self->{chunked} ? 'cut' : 'well';
        return 0;
    }
}


# The next block of lines: { id, event, data, retry, comment }, what is in it;
# undef where none comes in time, { end => HOW } at the end.

sub block {
    my ($self, $seconds) = @_;

    my $end = time() + ($seconds || 10) * SCALE;

    while ($self->{text} !~ /\n\n/) {
        next if !$self->{ended} && $self->fill($end);
        return $self->{ended} ? { end => $self->{ended} } : undef;
    }

    $self->{text} =~ s/\A(.*?)\n\n//s;

    my %block;

    for my $line (split /\n/, $1) {
        if ($line =~ /\A:/) {
            $block{comment} = 1;
            next;
        }

        my ($name, $value) = $line =~ /\A([a-z]+): ?(.*)\z/s
            or die "events: line '$line'";

        if ($name eq 'data' && defined $block{data}) {
            $block{data} .= "\n$value";
        } else {
            $block{$name} = $value;
        }
    }

    $self->{last} = $block{id} if defined $block{id};

    return \%block;
}


# The next event, whatever comes before it that is none; else as block().

sub event {
    my ($self, $seconds) = @_;

    while (1) {
        my $block = $self->block($seconds);

        return $block if !defined $block || $block->{end}
                         || defined $block->{data};
    }
}


# A long poll: poll($http, PATH, \%headers): the answer, {json} is its body.

sub poll {
    my ($http, $path, $headers) = @_;

    $http->send_raw($http->format_request('GET', $path,
        { Accept => 'application/json', %{ $headers || {} } }));

    return answer($http);
}


sub answer {
    my ($http, $seconds) = @_;

    my $res = $http->read_response('GET', $seconds || 70);

    $res->{json} = eval { from_json($res->{body}) };

    return $res;
}


1;

#!/usr/bin/perl

# unit.pl [unit|fuzz|tsan]: builds the programs of one kind:
#
#     unit   the unit tests, t/unit/ROOM/NAME_test.c, under ASan and UBSan
#     fuzz   the fuzzers, t/fuzz/NAME.c, with libFuzzer, ASan and UBSan
#     tsan   the stress tests, t/tsan/NAME.c, under ThreadSanitizer
#
# to build/KIND/.  Near its top a program names what it is made of:
#
#     /* sources: wire/ngx_chat_utf8.c libs: -lyajl */
#
# in one comment or several; a name may be a pattern.  All else that it needs
# are headers.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use File::Path ();

chdir dirname(Cwd::abs_path($0)) . '/../..' or die $!;

my %kinds = (
    unit => {
        glob  => 't/unit/*/*_test.c',
        cc    => '$(CC)',
        flags => '-fsanitize=address,undefined -fno-sanitize-recover=all',
    },
    fuzz => {
        glob  => 't/fuzz/*.c',
        cc    => 'clang',
        flags => '-fsanitize=fuzzer,address,undefined'
                 . ' -fno-sanitize-recover=all -It/fuzz',
    },
    tsan => {
        glob  => 't/tsan/*.c',
        cc    => 'clang',
        flags => '-fsanitize=thread -It/tsan',
    },
);

my $kind = @ARGV ? $ARGV[0] : 'unit';
my $how = $kinds{$kind} or die "unit.pl: no kind \"$kind\"\n";

my $build = Cwd::getcwd() . '/build';
my $variant = $ENV{NGINX_SRC} ? 'src-' : '';
my $nginx = "$build/${variant}nginx/src";

# nginx's headers are not ours to warn about
my @includes = map { ('-isystem', "$nginx/$_") }
    qw(core event event/modules event/quic os/unix
       http http/modules http/v2 http/v3);

my @warnings = qw(-W -Wall -Wextra -Wpointer-arith -Wno-unused-parameter
                  -Werror);

my $cflags = "-g -O1 -fno-omit-frame-pointer $how->{flags} @warnings"
             . " -Ingx_chat_module -It/unit"
             . " -isystem $build/${variant}objs @includes";

my @headers = (split(/\n/, `find ngx_chat_module t -name '*.h'`),
               grep { -f } glob("$build/${variant}objs/*.h"));

my (@bins, $rules);

$rules = '';

for my $test (glob($how->{glob})) {
    open my $fh, '<', $test or die "open $test: $!";
    my $text = do { local $/; <$fh> };

    my @named = $text =~ m{/\*[\s*]*sources:(.*?)\*/}gs;
    my @words = map { split } @named;

    my @sources = map { glob("ngx_chat_module/$_") } grep { /\.c$/ } @words;
    my @libs = grep { /^-/ } @words;

    (my $bin = $test) =~ s{^t/(.*)\.c$}{build/$1};

    if (!@named) {
        warn "$test: no comment \"sources:\"\n";
        unlink $bin;
        next;
    }

    File::Path::make_path(dirname($bin));
    push @bins, $bin;

    $rules .= "$bin: $test @sources @headers t/tools/unit.pl\n"
              . "\t\@echo '== compiling $bin'\n"
              . "\t\@$how->{cc} $cflags -o \$@ $test @sources @libs\n\n";
}

exit 0 if !@bins;

my $makefile = "build/$kind/Makefile";

open my $fh, '>', $makefile or die "open $makefile: $!";
print $fh "all: @bins\n\n$rules" or die;
close $fh or die;

chomp(my $jobs = `nproc`);
delete $ENV{MAKEFLAGS};

my @make = ('make', "-j$jobs", '--no-print-directory', '-f', $makefile);

exit 0 if system(@make, '-k') == 0;

# what an earlier source made must not stand for one that does not compile

for my $bin (@bins) {
    unlink $bin if system(@make, '-q', $bin) != 0;
}

exit 1;

//! All of it as one HTML page.

use bowline_sim::trace::Trace;

use super::draw::{NAMES, STYLE, body, name_of, names, num, open, write};
use super::events::What;
use super::layout::{Layout, is_quiet, layout};
use super::legend::{SENTENCE, legend};
use super::text::{head, lines};
use super::{Heading, Verdict, escape};

const PAGE_STYLE: &str = include_str!("page.css");
/// Shows which line belongs to which arrow; the page says the same without it.
const SCRIPT: &str = include_str!("page.js");

pub(super) fn page(trace: &Trace, heading: &Heading) -> String {
    let title = escape(&heading.title);
    let mut html = String::from("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    html.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    write(&mut html, format_args!("<title>{title}</title>\n<style>\n{STYLE}{PAGE_STYLE}</style>\n</head>\n"));
    html.push_str("<body class=\"bowline\">\n");
    let layout = layout(trace);
    intro(&mut html, trace, &layout, heading);
    html.push_str("<main>\n");
    diagram(&mut html, trace, &layout);
    table(&mut html, trace);
    write(&mut html, format_args!("</main>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n"));
    html
}

fn intro(html: &mut String, trace: &Trace, layout: &Layout, heading: &Heading) {
    let (class, word, text) = match &heading.verdict {
        Verdict::Passed(text) => ("passed", "passed", text),
        Verdict::Failed(text) => ("failed", "failed", text),
    };
    write(
        html,
        format_args!(
            "<header>\n<h1>{}</h1>\n<p class=\"verdict {class}\"><b>{word}</b> {}</p>\n\
             <p class=\"again\">Run it again: <code>{}</code></p>\n<p class=\"how\">{SENTENCE}</p>\n",
            escape(&heading.title),
            escape(text),
            escape(&heading.reproduce)
        ),
    );
    let width = 1100.0;
    let legend = legend(trace, layout, width);
    html.push_str(&open(width, legend.height));
    html.push_str(&legend.svg);
    html.push_str("</svg>\n</header>\n");
}

fn diagram(html: &mut String, trace: &Trace, layout: &Layout) {
    write(html, format_args!("<section class=\"diagram\" style=\"min-width: {}px\">\n", num(layout.width)));
    html.push_str("<div class=\"names\">\n");
    html.push_str(&open(layout.width, NAMES));
    html.push_str(&names(trace, layout));
    html.push_str("</svg>\n</div>\n");
    html.push_str(&open(layout.width, layout.height));
    html.push_str(&body(trace, layout, true));
    html.push_str("</svg>\n</section>\n");
}

fn table(html: &mut String, trace: &Trace) {
    html.push_str("<section class=\"timeline\">\n<h2>Timeline</h2>\n");
    for shown in ["messages", "heartbeats"] {
        write(
            html,
            format_args!("<label><input type=\"checkbox\" class=\"{shown}\" checked> {shown}</label>\n"),
        );
    }
    write(html, format_args!("<div class=\"lines\"><b>{}</b>\n", escape(&head())));
    let messages: Vec<_> = trace.messages().collect();
    for line in lines(trace) {
        let class = match line.what {
            What::Note(_) => " class=\"step\"",
            What::Mark(_) => " class=\"own\"",
            What::Send(i) | What::End(i) if is_quiet(messages[i].kind) => " class=\"quiet\"",
            What::Send(_) | What::End(_) => "",
        };
        write(html, format_args!("<a href=\"#{}\"{class}>{}</a>\n", name_of(line.what), escape(&line.text)));
    }
    html.push_str("</div>\n</section>\n");
}

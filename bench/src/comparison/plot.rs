//! Bars as SVG: groups side by side over a logarithmic axis.

use std::fmt::Write as _;

/// A group of bars.
pub struct Group {
    pub name: String,
    /// A bar a series, in the order of the series; none where nothing was measured.
    pub values: Vec<Option<f64>>,
}

/// The colours of the series, told apart also by those who see few colours.
const COLORS: [&str; 4] = ["#999999", "#e69f00", "#0072b2", "#d55e00"];

const HEIGHT: f64 = 260.0;
const BAR: f64 = 14.0;
const GAP: f64 = 20.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 50.0;

/// Draws a plot.
pub fn bars(title: &str, unit: &str, series: &[&str], groups: &[Group]) -> String {
    let values = || groups.iter().flat_map(|group| group.values.iter().flatten().copied());
    let low = values().fold(f64::INFINITY, f64::min).max(1e-3).log10().floor();
    let high = values().fold(0.0, f64::max).max(1e-2).log10().ceil().max(low + 1.0);
    let y = |value: f64| TOP + HEIGHT * (high - value.max(1e-3).log10()) / (high - low);
    let group_width = BAR * series.len() as f64 + GAP;
    let width = LEFT + group_width * groups.len() as f64 + 20.0;
    let mut svg = String::new();
    let height = TOP + HEIGHT + 40.0;
    add(
        &mut svg,
        format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"10\" y=\"18\" font-size=\"14\">{title}, {unit}</text>\n"
        ),
    );
    for (index, name) in series.iter().enumerate() {
        let x = LEFT + 110.0 * index as f64;
        let color = COLORS[index % COLORS.len()];
        add(
            &mut svg,
            format_args!(
                "<rect x=\"{x}\" y=\"27\" width=\"10\" height=\"10\" fill=\"{color}\"/>\
             <text x=\"{}\" y=\"36\">{name}</text>\n",
                x + 14.0
            ),
        );
    }
    for power in low as i32..=high as i32 {
        let (value, line) = (10_f64.powi(power), y(10_f64.powi(power)));
        add(
            &mut svg,
            format_args!(
                "<line x1=\"{LEFT}\" x2=\"{width}\" y1=\"{line:.1}\" y2=\"{line:.1}\" \
             stroke=\"#dddddd\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>\n",
                LEFT - 6.0,
                line + 4.0
            ),
        );
    }
    for (index, group) in groups.iter().enumerate() {
        let start = LEFT + GAP / 2.0 + group_width * index as f64;
        draw_group(&mut svg, group, start, &y);
    }
    svg += "</svg>\n";
    svg
}

fn draw_group(svg: &mut String, group: &Group, start: f64, y: &dyn Fn(f64) -> f64) {
    let bottom = TOP + HEIGHT;
    for (index, value) in group.values.iter().enumerate() {
        let Some(value) = value else { continue };
        let (x, top) = (start + BAR * index as f64, y(*value));
        let (color, width, height) = (COLORS[index % COLORS.len()], BAR - 2.0, bottom - top);
        add(
            svg,
            format_args!(
                "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{width}\" height=\"{height:.1}\" \
             fill=\"{color}\"><title>{}: {value:.1}</title></rect>\n",
                group.name
            ),
        );
    }
    let middle = start + BAR * group.values.len() as f64 / 2.0;
    add(
        svg,
        format_args!(
            "<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n",
            bottom + 18.0,
            group.name
        ),
    );
}

fn add(svg: &mut String, text: std::fmt::Arguments<'_>) {
    svg.write_fmt(text).expect("a string takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_high_as_their_values() {
        let group = |name: &str, values| Group { name: name.into(), values };
        let groups =
            [group("a", vec![Some(10.0), Some(1000.0)]), group("b", vec![None, Some(100.0)])];
        let svg = bars("x", "k/s", &["one", "two"], &groups);
        assert_eq!(svg.matches("<title>").count(), 3);
        // From 10 to 1000 are two powers: 100 is in the middle.
        assert!(svg.contains(&format!("height=\"{:.1}\" fill=\"#e69f00\"><title>b: 100.0", 130.0)));
        assert!(svg.contains("height=\"0.0\" fill=\"#999999\"><title>a: 10.0"));
    }
}
